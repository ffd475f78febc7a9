#include "cloud/lans.h"

#include "cloud/hosts.h"

#include <algorithm>
#include <set>

namespace godwit::cloud {
namespace {

bool offers_it(Sql& sql, const std::string& host, const wire::Network& network) {
  return select_one<LanPortRow>(sql, "host = $1 AND tenant = $2 AND network = $3", host, network.tenant, network.name)
      .has_value();
}

bool is_another_clouds(const Core& core, const wire::Network& network) {
  return !network.uplink.cloud.empty() && network.uplink.cloud != core.name();
}

}  // namespace

bool note_lans(Sql& sql, const wire::HostReport& report) {
  std::set<std::pair<std::string, std::string>> missing;
  for (const auto& each : report.lans) missing.emplace(each.tenant, each.network);
  bool changed = false;
  for (const auto& row : select<LanPortRow>(sql, "host = $1", report.host)) {
    if (missing.erase({row.tenant, row.network}) != 0 || report.overlay_port == 0) continue;
    sql.run("DELETE FROM lan_ports WHERE host = $1 AND tenant = $2 AND network = $3", row.host, row.tenant,
            row.network);
    changed = true;
  }
  for (const auto& [tenant, network] : missing) put(sql, LanPortRow{report.host, tenant, network});
  return changed || !missing.empty();
}

std::optional<LanHoldingRow> uplink_of(Sql& sql, Core& core, const wire::Network& network) {
  if (is_another_clouds(core, network)) return std::nullopt;
  auto row = select_one<LanHoldingRow>(sql, "network = $1 AND host <> ''", network.id);
  if (row && !offers_it(sql, row->host, network)) row.reset();
  return row;
}

bool is_named_for(const Core& core, const wire::Network& network) { return network.uplink.cloud == core.name(); }

bool has_none_for(Sql& sql, Core& core, const wire::Network& network) {
  return is_named_for(core, network) && !uplink_of(sql, core, network);
}

void give_up_name(Sql& sql, wire::Network& network) {
  network.uplink = {};
  auto held = select_one<LanHoldingRow>(sql, "network = $1 AND host <> ''", network.id);
  if (!held) return;
  ++held->version;
  held->accepted = held->leased;  // it doesn't do it at all
  put(sql, *held);
}

std::vector<LanHoldingRow> networks_joined_at(Sql& sql, Core& core, const std::string& host) {
  std::vector<LanHoldingRow> out;
  for (const auto& held : select<LanHoldingRow>(sql, "host = $1 ORDER BY network", host)) {
    const auto network = select_one<NetworkRow>(sql, "id = $1", held.network);
    if (!network || !is_named_for(core, network->body)) continue;
    auto row = uplink_of(sql, core, network->body);
    if (row) out.push_back(std::move(*row));
  }
  return out;
}

bool Lans::settle(Sql& sql, const Hosts& hosts, const HostRow& asking) {
  bool changed = false;
  for (const auto& port : asking.report.lans) {
    for (const auto& network : select<NetworkRow>(sql, "tenant = $1", port.tenant)) {
      if (network.body.name == port.network) changed |= settle(sql, hosts, asking, network);
    }
  }
  return changed;
}

bool Lans::settle(Sql& sql, const Hosts& hosts, const HostRow& asking, const NetworkRow& network) {
  const auto now = core_.clock().now();
  if (is_another_clouds(core_, network.body)) return false;
  const auto before = select_one<LanHoldingRow>(sql, "network = $1", network.id);
  auto row = before.value_or(LanHoldingRow{network.id, "", 0, false, false, "", 0});
  LanHolding held{row.host, row.version, row.leased, row.accepted};
  auto asked = asked_.try_emplace(network.id, started_).first;
  if (held.host == asking.name) {
    asked->second = now;
    const auto said = std::ranges::find_if(asking.report.lans, [&](const wire::LanReport& each) {
      return each.tenant == network.tenant && each.network == network.body.name;
    });
    held = accepted_by_host(std::move(held), said->lease);
  }
  const auto next = next_holding(held, now - asked->second, offers(sql, hosts, asking, network));
  if (next.host != held.host) {
    core_.log().info("network {}: host {} joins it to its LAN{}", network.id, next.host.empty() ? "none" : next.host,
                     held.host.empty() ? "" : ", no longer " + held.host);
    asked->second = now;
    row.ip.clear();
    row.port = 0;
  }
  row.host = next.host;
  row.version = next.version;
  row.leased = next.leased;
  row.accepted = next.accepted;
  // Where its switch is stays as it was while an agent that has been restarted does not know.
  const auto holder = next.host.empty() ? std::nullopt : select_one<HostRow>(sql, "name = $1", next.host);
  if (holder && holder->report.overlay_port != 0) {
    row.ip = holder->report.overlay_ip;
    row.port = holder->report.overlay_port;
  }
  if (before == row) return false;
  put(sql, row);
  return true;
}

std::vector<LanOffer> Lans::offers(Sql& sql, const Hosts& hosts, const HostRow& asking,
                                   const NetworkRow& network) const {
  std::vector<LanOffer> out;
  for (const auto& port :
       select<LanPortRow>(sql, "tenant = $1 AND network = $2 ORDER BY host", network.tenant, network.body.name)) {
    const auto host = select_one<HostRow>(sql, "name = $1", port.host);
    const bool heard = port.host == asking.name || hosts.alive(port.host);
    out.push_back({port.host, heard && host && host->report.overlay_port != 0});
  }
  return out;
}

}  // namespace godwit::cloud
