// Everything in a cloud, of all tenants: for its operator.
#pragma once

#include "cloud/cloud.h"

namespace godwit::cloud {

struct CloudInstance {
  std::string id;
  std::string tenant;
  std::string type;
  std::string host;
  wire::InstanceState state{wire::InstanceState::pending};
  std::string moved_to;
  std::string problem;
};
BOOST_DESCRIBE_STRUCT(CloudInstance, (), (id, tenant, type, host, state, moved_to, problem))

struct CloudStatus {
  std::string name;
  std::string api_url;
  std::vector<wire::HostView> hosts;
  std::vector<TenantView> tenants;
  std::vector<wire::DesiredImage> images;
  std::vector<CloudInstance> instances;
  std::vector<wire::MigrationReport> migrations;  // under way
};
BOOST_DESCRIBE_STRUCT(CloudStatus, (), (name, api_url, hosts, tenants, images, instances, migrations))

[[nodiscard]] Result<CloudStatus> look(Cloud& cloud);

}  // namespace godwit::cloud
