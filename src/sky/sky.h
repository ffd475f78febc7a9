// One user's sky: accounts on clouds, clusters over them, and their migrations.
#pragma once

#include "sky/accounts.h"
#include "sky/cluster.h"
#include "sky/images.h"
#include "sky/migrations.h"
#include "sky/records.h"
#include "sky/security_groups.h"

#include <memory>
#include <string>
#include <vector>

namespace godwit::sky {

struct SkyOptions {
  std::string state_directory;
  Pace pace{};
};

// One strand. Everything that it answers to a wish is on disk before; so it may be ended at any time.
class Sky final : private ClusterFinder {
 public:
  // Reads the state; nothing is started. `runtime` outlives the sky. Errors: io, invalid_argument (a broken record).
  [[nodiscard]] static Result<std::unique_ptr<Sky>> open(sys::Runtime& runtime, const SkyOptions& options);
  Sky(const Sky&) = delete;
  Sky& operator=(const Sky&) = delete;

  void start();
  // Before it is destroyed. Nothing is undone: instances run on.
  [[nodiscard]] sys::Task<void> stop();

  [[nodiscard]] sys::Task<Result<wire::AccountView>> put_account(wire::Account account);
  // Errors: not_found, conflict (a cluster or migration needs it).
  [[nodiscard]] Result<> remove_account(const std::string& cloud);
  [[nodiscard]] sys::Task<wire::AccountList> accounts();
  [[nodiscard]] sys::Task<wire::CloudHostsList> hosts();

  // What is seen of the network of that id, or of that cluster, by its hosts' switches. Errors: not_found.
  [[nodiscard]] sys::Task<Result<wire::NetworkObservation>> observe(std::string network);

  // Somebody's WireGuard becomes a member of the network of that id, or of that cluster, or is none any more. Which
  // host serves it its cloud says a moment later. Errors: not_found, those of add_leaf() and remove_leaf(); conflict
  // also where the key is a member of another network.
  [[nodiscard]] Result<wire::LeafList> join(const std::string& network, const wire::LeafRequest& request);
  [[nodiscard]] Result<wire::LeafList> leave(const std::string& network, const std::string& name);
  [[nodiscard]] Result<wire::LeafList> leaves(const std::string& network) const;

  // Asking again with the same content gives the same cluster. Errors: invalid_argument, conflict (another of that
  // name), those of draw_cluster().
  [[nodiscard]] sys::Task<Result<wire::ClusterView>> create_cluster(wire::ClusterSpec spec);
  [[nodiscard]] wire::ClusterList clusters() const;
  [[nodiscard]] Result<wire::ClusterView> cluster(const std::string& name) const;
  [[nodiscard]] Result<wire::ClusterView> delete_cluster(const std::string& name);

  // What they change, the networks of running clusters are told. Errors: those of SecurityGroups, of the store.
  [[nodiscard]] const SecurityGroups& security_groups() const { return groups_; }
  [[nodiscard]] Result<wire::SecurityGroup> create_security_group(wire::SecurityGroup group);
  [[nodiscard]] Result<> delete_security_group(const std::string& name);
  [[nodiscard]] Result<wire::SecurityGroup> authorize(const std::string& name, const wire::RuleChange& change);
  [[nodiscard]] Result<wire::SecurityGroup> revoke(const std::string& name, const wire::RuleChange& change);

  [[nodiscard]] Images& images() { return images_; }

  // As its cloud has it, without user data. Errors: not_found, those of the call.
  [[nodiscard]] sys::Task<Result<wire::InstanceView>> instance(std::string id);
  // Makes an image of its disk at the cloud where it runs. Errors: not_found, invalid_argument; conflict (sky keeps one
  // of that name); those of the call.
  [[nodiscard]] sys::Task<Result<wire::SnapshotView>> snapshot(std::string id, wire::SnapshotRequest request);
  // What the clouds that can be asked say of such, one after the other.
  [[nodiscard]] sys::Task<wire::SnapshotList> snapshots();
  [[nodiscard]] Result<> terminate(const std::string& instance);
  // Without keys.
  [[nodiscard]] wire::NetworkList networks() const;

  [[nodiscard]] Result<wire::MigrationList> migrate_cluster(const std::string& name, const wire::MoveRequest& request);
  [[nodiscard]] Result<wire::MigrationList> migrate_instance(const std::string& id, wire::MoveRequest request);
  [[nodiscard]] wire::MigrationList migrations() const { return migrations_.list(); }
  [[nodiscard]] Result<wire::MigrationReport> migration(const std::string& id) const;
  [[nodiscard]] Result<> cancel(const std::string& migration) { return migrations_.cancel(migration); }
  // Tells every cloud of the migration that can be reached. Errors: not_found, unavailable (none), those of a cloud
  // where none took it.
  [[nodiscard]] sys::Task<Result<wire::FenceAnswer>> fence(std::string instance, wire::FenceRequest request);

  // Grows with every change of a cluster's view or a migration's report.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  // Returns when version() is another than `seen`, or at `deadline`.
  [[nodiscard]] sys::Task<void> wait_change(std::uint64_t seen, TimePoint deadline);

 private:
  Sky(sys::Runtime& runtime, const SkyOptions& options, Store store, std::vector<wire::Account> accounts,
      std::vector<MigrationRecord> migrations, const std::vector<wire::SecurityGroup>& groups,
      std::unique_ptr<image::Repository> repository, std::vector<ImageRecord> images);
  [[nodiscard]] Result<wire::SecurityGroup> tell_clusters(Result<wire::SecurityGroup> changed);
  [[nodiscard]] Cluster* find_cluster(const std::string& name) override;
  [[nodiscard]] Cluster* cluster_of(const std::string& instance);
  [[nodiscard]] Result<Cluster*> network(const std::string& id_or_name) const;
  void add(ClusterRecord record);
  void changed();
  [[nodiscard]] sys::Task<void> sweep();

  sys::Runtime& runtime_;
  Pace pace_;
  Store store_;
  Accounts accounts_;
  SecurityGroups groups_;
  std::map<std::string, std::unique_ptr<Cluster>> clusters_;
  std::vector<MigrationRecord> unstarted_;
  Migrations migrations_;
  std::unique_ptr<image::Repository> repository_;
  Images images_;
  std::uint64_t version_{0};
  sys::Signal change_;
  Log log_;
  sys::Gate gate_;  // last: what it holds uses the rest
};

}  // namespace godwit::sky
