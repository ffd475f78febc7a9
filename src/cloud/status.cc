#include "cloud/status.h"

namespace godwit::cloud {

Result<CloudStatus> look(Cloud& cloud) {
  CloudStatus out;
  out.name = cloud.core().name();
  out.api_url = cloud.core().settings().api_url;
  auto hosts = cloud.hosts().list();
  if (!hosts) return pass(hosts);
  out.hosts = std::move(hosts->hosts);
  auto tenants = cloud.accounts().tenants();
  if (!tenants) return pass(tenants);
  out.tenants = std::move(*tenants);
  auto images = cloud.images().list();
  if (!images) return pass(images);
  out.images = std::move(*images);
  const auto read = cloud.core().database().read([&](Sql& sql) -> Result<> {
    for (auto& row : select<InstanceRow>(sql, "state <> 'terminated' ORDER BY tenant, id")) {
      out.instances.push_back({row.id, row.tenant, row.spec.type, row.host, row.state, row.moved_to, row.problem});
    }
    for (auto& row : select<MigrationRow>(sql, "closed_ms = 0 ORDER BY opened_ms, id, role")) {
      out.migrations.push_back(std::move(row.report));
    }
    return {};
  });
  if (!read) return pass(read);
  return out;
}

}  // namespace godwit::cloud
