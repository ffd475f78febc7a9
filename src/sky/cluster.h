// One cluster: what its user wants, held against what the clouds say, again and again, until the two meet.
//
// Level-triggered: one loop a cloud asks how things are there and puts right what is not; a lost answer, an unreachable
// cloud or a restart of sky costs a round, never the truth. Nothing is done that the record on disk does not say.
#pragma once

#include "overlay/location_claim.h"
#include "sky/accounts.h"
#include "sky/leaves.h"
#include "sky/pace.h"
#include "sky/records.h"
#include "sky/sight.h"
#include "sky/user_data.h"
#include "sys/runtime.h"
#include "sys/task.h"

#include <functional>
#include <map>
#include <set>
#include <string>

namespace godwit::sky {

class Cluster {
 public:
  // All references outlive the cluster. `image_comes`: as Images::comes_to(), asked before an instance is launched.
  // `changed` is called when its view may have changed.
  using ImageComes = std::function<bool(const std::string& image, const std::string& cloud)>;
  Cluster(sys::Runtime& runtime, Store& store, Accounts& accounts, Pace pace, ClusterRecord record,
          ImageComes image_comes, std::function<void()> changed);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  void start();
  [[nodiscard]] sys::Task<void> stop();

  [[nodiscard]] const ClusterRecord& record() const { return record_; }
  [[nodiscard]] wire::ClusterView view() const;
  // Deleted, and every cloud that was told of it has let go of it.
  [[nodiscard]] bool gone() const { return record_.deleting && record_.clouds.empty(); }

  // Wishes: on disk when they return.
  [[nodiscard]] Result<> erase();
  // Errors: not_found.
  [[nodiscard]] Result<> terminate(const std::string& instance);

  // The network carries these from now on. On disk when it returns.
  [[nodiscard]] Result<> set_security_groups(std::vector<wire::SecurityGroup> groups);

  // As add_leaf(), remove_leaf(). Errors: also conflict (the cluster is being deleted).
  [[nodiscard]] Result<> join(const wire::LeafRequest& request);
  [[nodiscard]] Result<> leave(const std::string& name);
  [[nodiscard]] wire::LeafList leaves() const { return leaves_of(record_, sights_); }

  // For migrations. The cloud is told of the network and introduced to the others, who are introduced to it.
  [[nodiscard]] Result<> include(const std::string& cloud);
  // It has acknowledged the network with all its members, and the other clouds of it.
  [[nodiscard]] bool introduced(const std::string& cloud) const;
  [[nodiscard]] const MemberRecord* member(const std::string& instance) const;
  void set_migration(const std::string& instance, const std::string& migration);  // empty: none
  // The instance is owned there now.
  void settle_at(const std::string& instance, const std::string& cloud);
  // A person has fenced it there: the other clouds are told to believe that of that one, with the next version.
  void grant(const std::string& instance, const std::string& cloud);
  // Look again now.
  void wake();

 private:
  [[nodiscard]] sys::Task<void> follow(std::string cloud);
  [[nodiscard]] sys::Task<Result<>> visit(std::string cloud);
  [[nodiscard]] sys::Task<Result<>> tell_network(std::string cloud, CloudClient client);
  void absorb(const std::string& cloud, const wire::Network& said);
  void absorb_lan(const std::string& cloud, const wire::Network& said);
  [[nodiscard]] std::optional<overlay::Authorities> authorities_of_all() const;
  [[nodiscard]] sys::Task<Result<>> tell_peers(std::string cloud, CloudClient client);
  [[nodiscard]] sys::Task<Result<>> look(std::string cloud, CloudClient client);
  [[nodiscard]] sys::Task<Result<>> launch_missing(std::string cloud, CloudClient client);
  [[nodiscard]] sys::Task<Result<>> launch(std::string cloud, CloudClient client, std::string instance);
  [[nodiscard]] sys::Task<Result<>> terminate_wanted(std::string cloud, CloudClient client);
  [[nodiscard]] sys::Task<Result<>> clear(std::string cloud, CloudClient client);

  [[nodiscard]] MemberRecord* find(const std::string& instance);
  [[nodiscard]] Result<wire::NetworkPeers> peers_of(const std::string& cloud) const;
  [[nodiscard]] Result<wire::RunInstanceRequest> run_request(const MemberRecord& member) const;
  [[nodiscard]] bool place_elsewhere(MemberRecord& member);
  void redraw_vni();
  void forget_member(const std::string& instance);
  [[nodiscard]] Result<> become(ClusterRecord record);
  void settle();
  [[nodiscard]] Millis interval() const;
  [[nodiscard]] Result<> save();
  void record_changed();

  sys::Runtime& runtime_;
  Store& store_;
  Accounts& accounts_;
  Pace pace_;
  ClusterRecord record_;
  ImageComes image_comes_;
  std::function<void()> changed_;
  Sights sights_;
  std::map<std::string, std::string> migrations_;  // by instance
  std::set<std::string> followed_;                 // clouds that have a loop
  std::uint64_t generation_{0};                    // of the record: the loops go round at once when it grows
  std::string last_view_;
  Log log_;
  sys::Signal wake_;
  sys::Gate gate_;  // last: what it holds uses the rest
};

}  // namespace godwit::sky
