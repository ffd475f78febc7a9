#include "cloud/lans.h"

namespace godwit::cloud {

bool note_lans(Sql& sql, const std::string& host, const std::vector<wire::LanReport>& before,
               const std::vector<wire::LanReport>& now) {
  if (before == now) return false;
  sql.run("DELETE FROM lan_ports WHERE host = $1", host);
  for (const auto& each : now) put(sql, LanPortRow{host, each.tenant, each.network});
  return true;
}

std::optional<HostRow> uplink_host(Sql& sql, Core& core, const wire::Network& network) {
  if (!network.uplink.cloud.empty() && network.uplink.cloud != core.name()) return std::nullopt;
  for (const auto& port :
       select<LanPortRow>(sql, "tenant = $1 AND network = $2 ORDER BY host", network.tenant, network.name)) {
    auto host = select_one<HostRow>(sql, "name = $1", port.host);
    if (host && host->report.overlay_port != 0) return host;
  }
  return std::nullopt;
}

std::vector<std::string> networks_joined_at(Sql& sql, Core& core, const std::string& host) {
  std::vector<std::string> out;
  for (const auto& port : select<LanPortRow>(sql, "host = $1", host)) {
    for (const auto& row : select<NetworkRow>(sql, "tenant = $1", port.tenant)) {
      if (row.body.name != port.network) continue;
      const auto joined = uplink_host(sql, core, row.body);
      if (joined && joined->name == host) out.push_back(row.id);
    }
  }
  return out;
}

}  // namespace godwit::cloud
