// Snapshots of instances that become images of this cloud: who asked for them, what their hosts make of them, and their
// names.
#pragma once

#include "cloud/instances.h"
#include "wire/snapshot.h"

#include <optional>
#include <vector>

namespace godwit::cloud {

constexpr std::size_t kSnapshotsPerTenant = 16;  // under way at a time
// One that its host has not brought by then has failed.
constexpr std::chrono::hours kSnapshotLimit{1};

class Snapshots {
 public:
  explicit Snapshots(Core& core) : core_(core) {}

  // Writes it down for the instance's host. Asked twice with one id it is one. Errors: invalid_argument, not_found,
  // conflict (the instance is neither running nor stopped here, moves, or is being copied already; the name is taken),
  // exhausted, unsupported (this cloud keeps no images).
  [[nodiscard]] Result<wire::SnapshotView> take(const User& user, const std::string& instance,
                                                const wire::SnapshotRequest& request);
  // The tenant's, by age.
  [[nodiscard]] Result<wire::SnapshotList> list(const User& user) const;
  // The host has one to bring: it may put contents into this cloud's store. Errors: denied.
  [[nodiscard]] Result<> check_awaited(const HostIdentity& host) const;

  // Those whose content is here, and has no name yet.
  [[nodiscard]] Result<std::vector<SnapshotRow>> unnamed() const;
  // It has its name now, or why it can't have it.
  [[nodiscard]] Result<> end(const std::string& id, const Result<>& named);

 private:
  [[nodiscard]] Result<SnapshotRow> admit(Sql& sql, const User& user, const std::string& instance,
                                          const wire::SnapshotRequest& request) const;

  Core& core_;
};

// What the instance's disk is being copied for: until that is done it can't move.
[[nodiscard]] std::optional<SnapshotRow> copying_snapshot(Sql& sql, const Core& core, const std::string& instance);
// What a host has to make.
[[nodiscard]] std::vector<wire::DesiredSnapshot> desired_snapshots(Sql& sql, const std::string& host);
// What it says of them. True: something has changed.
[[nodiscard]] bool apply_snapshots(Sql& sql, Core& core, const HostRow& host);
// Those that took too long have failed. True: some have.
[[nodiscard]] bool expire_snapshots(Sql& sql, const Core& core);

}  // namespace godwit::cloud
