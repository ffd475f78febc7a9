// Moves instances between clouds: ticket from the destination, order to the source, an eye on both until it is decided.
// Each is a record on disk, and goes on from there when sky starts again.
#pragma once

#include "sky/cluster.h"
#include "sky/migration_view.h"
#include "sky/order.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace godwit::sky {

constexpr std::size_t kMigrationsAtOnce = 4;       // of one cluster: they share the same WAN
constexpr std::size_t kEndedMigrationsKept = 200;  // for those who ask later

// Whoever owns the clusters.
class ClusterFinder {
 public:
  virtual ~ClusterFinder() = default;
  // Null when there is none, or no more. Valid until the next co_await.
  [[nodiscard]] virtual Cluster* find_cluster(const std::string& name) = 0;
};

class Migrations {
 public:
  // All references outlive it. `changed` is called when a report has changed.
  Migrations(sys::Runtime& runtime, Store& store, Accounts& accounts, ClusterFinder& clusters, Pace pace,
             std::function<void()> changed);
  Migrations(const Migrations&) = delete;
  Migrations& operator=(const Migrations&) = delete;

  // Takes up what an earlier sky had begun.
  void start(std::vector<MigrationRecord> known);
  [[nodiscard]] sys::Task<void> stop();

  // One migration a member of `names` (empty: all that are elsewhere), the largest first so that none is left for the
  // end alone; on disk when it returns. A member that is already on its way there keeps its migration.
  // Errors: not_found (cloud, member), conflict (a member moves elsewhere, or is not launched), invalid_argument.
  [[nodiscard]] Result<wire::MigrationList> move(Cluster& cluster, const wire::MoveRequest& request);
  // Errors: not_found, conflict (it has ended).
  [[nodiscard]] Result<> cancel(const std::string& id);
  void cancel_all(const std::string& cluster);

  [[nodiscard]] wire::MigrationList list() const;  // newest first
  // Null when there is none.
  [[nodiscard]] const MigrationRecord* find(const std::string& id) const;
  // The open one of this instance, or its last; null when it never moved.
  [[nodiscard]] const MigrationRecord* of_instance(const std::string& instance) const;
  [[nodiscard]] bool uses(const std::string& cloud) const;

 private:
  [[nodiscard]] Result<MigrationRecord> draw(Cluster& cluster, const MemberRecord& member,
                                             const wire::MoveRequest& request);
  void schedule();
  // Of one cluster, in the order in which they were asked for.
  [[nodiscard]] std::vector<Traveller> travellers(const std::string& cluster) const;
  void set_out(const std::string& id);
  [[nodiscard]] sys::Task<void> drive(std::string id);
  [[nodiscard]] sys::Task<Result<>> advance(std::string id);
  [[nodiscard]] sys::Task<Result<>> get_ticket(std::string id);
  [[nodiscard]] sys::Task<Result<wire::TicketGrant>> ask_ticket(CloudClient to, wire::TicketRequest request);
  [[nodiscard]] sys::Task<Result<>> introduce(std::string id);
  [[nodiscard]] sys::Task<Result<>> give_order(std::string id);
  [[nodiscard]] sys::Task<Result<>> watch(std::string id);
  [[nodiscard]] sys::Task<Result<>> pass_cancel(std::string id);
  void note(MigrationRecord& record, wire::MigrationReport report);
  void end(MigrationRecord& record, wire::MigrationPhase phase, const std::string& error);
  [[nodiscard]] Result<> save(const MigrationRecord& record);
  void prune();

  sys::Runtime& runtime_;
  Store& store_;
  Accounts& accounts_;
  ClusterFinder& clusters_;
  Pace pace_;
  std::function<void()> changed_;
  std::map<std::string, MigrationRecord> records_;
  std::map<std::string, std::string> driven_;  // cluster by migration, of those that have a coroutine
  Log log_;
  sys::Gate gate_;  // last: what it holds uses the rest
};

}  // namespace godwit::sky
