// Migrations as this cloud is part of them: orders to its own agents, its vote as the source's cloud, and a person's
// word where nobody can tell any more. docs/protocols/migration.md.
#pragma once

#include "cloud/instances.h"

namespace godwit::cloud {

class Migrations {
 public:
  Migrations(Core& core, const Hosts& hosts) : core_(core), hosts_(hosts) {}

  // Writes the order down for the agent of the instance's host. Asked twice with one id it begins once.
  // Errors: not_found, invalid_argument, conflict (not running, or moving already; the clouds were not introduced).
  [[nodiscard]] Result<wire::MigrationReport> start(const User& user, const std::string& instance,
                                                    const wire::MigrateRequest& request);
  // This cloud's side of it; the source's where it has both. Errors: not_found.
  [[nodiscard]] Result<wire::MigrationReport> get(const User& user, const std::string& id) const;
  // No longer changes, except by a person.
  [[nodiscard]] Result<bool> ended(const User& user, const std::string& id) const;
  // Asks the source's agent to give up; too late once it has voted. Errors: not_found, conflict (it arrives here).
  [[nodiscard]] Result<wire::MigrationReport> cancel(const User& user, const std::string& id);

  // The vote of this cloud, which it casts when it has none: released when its own agent says that it released, aborted
  // when that agent says aborted, or when the destination asks first. On disk before the answer.
  // Errors: not_found, denied (not the source's agent; not the destination).
  [[nodiscard]] Result<wire::DecisionAnswer> release(const HostIdentity& caller, const std::string& id);
  [[nodiscard]] Result<wire::DecisionAnswer> abort(const HostIdentity& caller, const std::string& id);
  [[nodiscard]] Result<wire::DecisionAnswer> resolve(const std::optional<sys::PeerIdentity>& caller,
                                                     const std::string& id);

  // A person has made sure that the losing side is dead, and says who has the instance. Given once.
  // Errors: not_found, conflict (it is decided otherwise, or the losing side lives).
  [[nodiscard]] Result<wire::MigrationReport> fence(const User& user, const std::string& instance,
                                                    const wire::FenceRequest& request);

 private:
  [[nodiscard]] Result<MigrationRow> admit(Sql& sql, const User& user, const std::string& instance,
                                           const wire::MigrateRequest& request) const;
  [[nodiscard]] Result<MigrationRow> of_source(Sql& sql, const HostIdentity& caller, const std::string& id) const;
  [[nodiscard]] wire::Decision cast(Sql& sql, MigrationRow row, wire::Decision vote);
  [[nodiscard]] Result<> fence_source(Sql& sql, MigrationRow& row, wire::MigrationRole winner);
  [[nodiscard]] Result<> fence_destination(MigrationRow& row, wire::MigrationRole winner) const;

  Core& core_;
  const Hosts& hosts_;
};

}  // namespace godwit::cloud
