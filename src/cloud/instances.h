// The instances of a cloud, as their tenants see and steer them.
#pragma once

#include "cloud/accounts.h"
#include "cloud/hosts.h"

namespace godwit::cloud {

class Instances {
 public:
  Instances(Core& core, const Hosts& hosts) : core_(core), hosts_(hosts) {}

  // Asking twice with one id and one content is asking once. Errors: invalid_argument, not_found (type, image, network,
  // host), conflict (the id, MAC or IP is taken), exhausted (quota, room), unavailable, unsupported.
  [[nodiscard]] Result<wire::InstanceView> run(const User& user, const wire::RunInstanceRequest& request);
  // Those that are or were here and are not terminated, arriving ones too; by id.
  [[nodiscard]] Result<wire::InstanceList> list(const User& user) const;
  // Errors: not_found, also for those of others.
  [[nodiscard]] Result<wire::InstanceView> get(const User& user, const std::string& id) const;
  // Errors: not_found, conflict (it moves now, or has moved away).
  [[nodiscard]] Result<wire::InstanceView> terminate(const User& user, const std::string& id);
  [[nodiscard]] Result<wire::InstanceView> stop(const User& user, const std::string& id);
  [[nodiscard]] Result<wire::InstanceView> start(const User& user, const std::string& id);

 private:
  [[nodiscard]] Result<InstanceRow> admit(Sql& sql, const User& user, const wire::RunInstanceRequest& request) const;
  [[nodiscard]] Result<wire::InstanceView> want(const User& user, const std::string& id,
                                                wire::DesiredInstanceState wanted);
  [[nodiscard]] wire::InstanceView view(Sql& sql, const InstanceRow& row) const;
  [[nodiscard]] wire::InstanceView arriving_view(Sql& sql, const MigrationRow& row) const;

  Core& core_;
  const Hosts& hosts_;
};

// The tenant's own instance, whatever its state. Errors: not_found.
[[nodiscard]] Result<InstanceRow> own_instance(Sql& sql, const User& user, const std::string& id);
// The tenant's own network. Errors: not_found.
[[nodiscard]] Result<NetworkRow> own_network(Sql& sql, const User& user, const std::string& id);
// The migration of the instance that is under way, on whichever side; none that a person has decided against this side,
// although a dead host may still have to hear of it.
[[nodiscard]] std::optional<MigrationRow> open_migration(Sql& sql, const std::string& instance);
// Errors: conflict, where another instance has the MAC or the IP on that network here.
[[nodiscard]] Result<> check_addresses(Sql& sql, const wire::InstanceSpec& spec);

}  // namespace godwit::cloud
