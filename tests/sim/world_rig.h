// A whole installation in one simulated world: two clouds with hosts of their own, a user with a sky at home, and a WAN
// between the three. Everything but QEMU, dnsmasq, the network and the machines is the product. One world a seed.
#pragma once

#include "migrate/record.h"
#include "sim/guests.h"
#include "sim/network.h"
#include "sim/qemu_core.h"
#include "sim/world_processes.h"
#include "wire/cluster.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace godwit::simtest {

inline const std::string kCluster = "demo";

struct RigPlan {
  int hosts_per_cloud{1};
  // The simulated mirror has one write in flight, so a guest that writes more often than once a round trip outruns it.
  sim::QemuSettings qemu{.boot_time = Millis{500}, .write_interval = Millis{100}};
  std::map<std::string, std::vector<agent::LanPort>> lans{};  // by host
  std::uint32_t image_fill_kib_s{0};                          // as in AgentConfig
};

class WorldRig final {
 public:
  explicit WorldRig(std::uint64_t seed, RigPlan plan = {});
  ~WorldRig();

  // ---- machines: "cloud-a", "a1", …, "cloud-b", "b1", …, "home"; sites "site-a", "site-b", "site-home"
  void start(const std::string& host, const std::string& process);  // nothing happens where it runs
  void kill(const std::string& host, const std::string& process);
  void power_off(const std::string& host, Nanos span);
  [[nodiscard]] const std::vector<std::string>& agent_hosts() const { return agent_hosts_; }
  // Every process of Godwit, as (host, process).
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& processes() const { return processes_; }
  [[nodiscard]] const agent::Agent* agent(const std::string& host);
  [[nodiscard]] const overlay::Switch* overlay(const std::string& host);  // of its `godwit switch`
  [[nodiscard]] cloud::Cloud* cloud(const std::string& name);
  [[nodiscard]] sky::Sky* sky();
  [[nodiscard]] sim::Process* qemu(const std::string& host, const std::string& instance);
  [[nodiscard]] std::string ca_of(const std::string& cloud) const;

  // ---- the user, at home
  Result<std::string> call(const std::string& method, const std::string& path, const std::string& body = {});
  template <class T>
  Result<T> ask(const std::string& method, const std::string& path, const std::string& body = {}) {
    const auto answer = call(method, path, body);
    if (!answer) return pass(answer);
    return wire::decode<T>(*answer);
  }
  // Members n1, … at the given clouds, all ready; of the image that all hosts have, or of another.
  [[nodiscard]] bool create_cluster(const std::vector<std::string>& clouds, const std::string& image = {});
  // Likewise, asked for.
  [[nodiscard]] bool begin_cluster(const std::vector<std::string>& clouds, const std::string& image = {});
  Result<wire::MigrationList> migrate(const std::string& to_cloud, const std::vector<std::string>& members = {});

  // ---- what is
  [[nodiscard]] wire::ClusterView view();  // empty while there is none, or no sky
  [[nodiscard]] const std::vector<std::string>& instances() const { return instances_; }
  // The furthest that either side says, or sky, where neither remembers it.
  [[nodiscard]] wire::MigrationPhase phase(const std::string& migration);
  [[nodiscard]] std::optional<wire::MigrationReport> report(const std::string& host, const std::string& migration);
  // Whether nothing is left of `instance` on `host`.
  [[nodiscard]] bool is_clean(const std::string& host, const std::string& instance);
  // As it has them on disk. One that is forgotten has ended, its cloud knows, and it stays for a peer that may ask.
  [[nodiscard]] std::vector<migrate::Record> migrations_of(const std::string& host);
  // Every member runs exactly once, where sky and its cloud say, nothing of it is anywhere else, and nothing is going
  // on.
  [[nodiscard]] bool settled();
  // Nothing is left of any instance, at any host.
  [[nodiscard]] bool all_gone();
  [[nodiscard]] std::string describe();

  sim::Guests guests;  // outlives the world's processes
  sim::World world;

 private:
  struct User;
  void add_cloud(const std::string& letter, int hosts);
  void add_agent_host(const std::string& name, const std::string& cloud, const std::string& ip);
  void add_accounts();
  void keep_up();
  [[nodiscard]] std::string where(const std::string& instance);
  [[nodiscard]] bool settled_at_cloud(const wire::ClusterMember& member);

  RigPlan plan_;
  std::map<std::string, std::unique_ptr<CloudDisk>> clouds_;
  std::map<std::string, std::string> cloud_of_;  // of agents' hosts
  std::vector<std::string> agent_hosts_;
  std::vector<std::pair<std::string, std::string>> processes_;
  std::map<std::string, TimePoint> dark_until_;
  std::vector<std::string> instances_;  // of the cluster, once it was made
};

}  // namespace godwit::simtest
