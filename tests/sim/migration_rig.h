// Two clouds of one host each, with their agents' migrations, one instance, and a WAN between them; everything but
// migrate::Service is as small as it can be. One world a seed.
#pragma once

#include "migrate/service.h"
#include "sim/fake_qemu.h"
#include "sim/network.h"

namespace godwit::simtest {

inline const std::string kInstance = "i-00000000000000001";
inline const std::string kMigration = "mig-00000000000000001";

class Rig;

// The agent, as far as migrations need one: keeps the instances of its host running, unless a migration has the word.
class TestAgent final : public sim::Program,
                        private migrate::Guests,
                        private migrate::Locations,
                        private migrate::Clouds {
 public:
  TestAgent(sim::Process& process, Rig& rig, std::string cloud);
  ~TestAgent() override;
  [[nodiscard]] migrate::Service& migrations() { return *service_; }

 private:
  [[nodiscard]] sys::Task<void> keep_up();
  void look();
  void check_hand_offs();
  void cold_boot();

  sys::Task<Result<std::unique_ptr<migrate::SourceGuest>>> open_source(std::string instance) override;
  sys::Task<Result<std::unique_ptr<migrate::DestinationGuest>>> receive(wire::InstanceSpec spec,
                                                                        bool post_copy) override;
  sys::Task<Result<std::unique_ptr<migrate::DestinationGuest>>> open_received(std::string instance) override;
  sys::Task<Result<>> end_received(std::string instance) override;
  sys::Task<Result<>> destroy(std::string instance) override;
  sys::Task<void> announce(wire::InstanceSpec spec, migrate::LocationProof proof) override;
  sys::Task<void> hold(wire::InstanceSpec spec, bool held) override;
  sys::Task<Result<wire::RedeemAnswer>> redeem(wire::RedeemRequest request) override;
  sys::Task<Result<wire::Decision>> release(std::string migration) override;
  sys::Task<Result<wire::DecisionAnswer>> resolve(std::string cloud, std::string api_url,
                                                  std::string migration) override;
  [[nodiscard]] sys::Task<Result<>> call_cloud(std::string cloud);

  sim::Process& process_;
  sys::Runtime& runtime_;
  Rig& rig_;
  std::string cloud_;
  bool booting_{false};
  sys::Signal wake_;
  std::unique_ptr<migrate::Service> service_;
  sys::Gate gate_;
};

class Rig final {
 public:
  explicit Rig(std::uint64_t seed);
  ~Rig();

  void start_agent(const std::string& host);
  void order_migration(wire::MigrationOptions options = {});
  [[nodiscard]] TestAgent* agent(const std::string& host);
  [[nodiscard]] sim::Process* qemu(const std::string& host);
  [[nodiscard]] std::optional<wire::MigrationReport> report(const std::string& host);
  [[nodiscard]] wire::MigrationPhase phase(const std::string& host);

  // Does this host have the instance, by its record? That counts where a migration doesn't say otherwise.
  [[nodiscard]] bool has_instance(const std::string& host);
  void set_instance(const std::string& host, bool claimed);
  void drop_instance(const std::string& host);

  // Everything is over: one copy runs, and the other side has nothing left.
  [[nodiscard]] bool settled();
  [[nodiscard]] std::string describe();

  Oracle oracle;
  sim::World world;
  sim::Host& a1;
  sim::Host& b1;
  wire::MigrationOrder order;                 // what cloud-a desires; no id: nothing
  wire::Decision vote{wire::Decision::none};  // of cloud-a
  wire::Decision fence_a{wire::Decision::none};
  wire::Decision fence_b{wire::Decision::none};
  std::string post_copy_problem;                      // of b1's QEMUs
  std::string redeemed;                               // the ticket, once
  std::map<std::string, wire::MigrationReport> told;  // by host: what its cloud has heard last
  std::map<std::string, std::uint16_t> ports;
};

[[nodiscard]] wire::InstanceSpec instance_spec();
[[nodiscard]] std::string directory_of_instance();

}  // namespace godwit::simtest
