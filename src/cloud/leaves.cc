#include "cloud/leaves.h"

#include "cloud/host_records.h"
#include "cloud/location_records.h"

#include <algorithm>

namespace godwit::cloud {
namespace {

// Whoever registered a host's key would end others' sessions with that host.
bool is_a_hosts(Sql& sql, const std::string& key) {
  return select_one<HostRecordRow>(sql, "overlay_key = $1", key).has_value();
}

// A host that can serve it: the one with the fewest leaves, of equal ones the first by name. Two leaves of one key at
// one host would be one session.
std::optional<HostRow> choose_host(Sql& sql, const Hosts& hosts, const LeafRow& leaf,
                                   const std::vector<LeafRow>& leaves) {
  std::optional<HostRow> best;
  std::ptrdiff_t fewest = 0;
  for (auto& host : select<HostRow>(sql, "true ORDER BY name")) {
    const bool serves = hosts.alive(host.name) && host.report.overlay_port != 0 && !host.report.overlay_key.empty();
    const auto here = [&](const LeafRow& each) { return each.instance != leaf.instance && each.host == host.name; };
    const bool has_key = std::ranges::any_of(
        leaves, [&](const LeafRow& each) { return here(each) && each.wireguard_key == leaf.wireguard_key; });
    if (!serves || has_key) continue;
    const auto count = std::ranges::count_if(leaves, here);
    if (best && count >= fewest) continue;
    fewest = count;
    best = std::move(host);
  }
  return best;
}

// What others may believe of it, whoever served it before.
std::uint64_t believed_version(Sql& sql, const LeafRow& leaf) {
  const auto network = select_one<NetworkRow>(sql, "id = $1", leaf.network);
  if (!network) return 0;
  const auto member = std::ranges::find(network->body.members, leaf.instance, &wire::Member::instance);
  return member == network->body.members.end() ? 0 : member->location.version;
}

}  // namespace

void take_leaves(Sql& sql, Core& core, const wire::Network& network) {
  std::map<std::string, LeafRow> known;
  for (auto& row : select<LeafRow>(sql, "network = $1", network.id)) {
    auto id = row.instance;
    known.emplace(std::move(id), std::move(row));
  }
  for (const auto& member : network.members) {
    if (member.wireguard_key.empty() || member.served_by != core.name()) continue;
    const auto before = known.extract(member.instance);
    if (before && before.mapped().wireguard_key == member.wireguard_key) continue;
    const bool taken = select_one<InstanceRow>(sql, "id = $1", member.instance) ||
                       select_one<LeafRow>(sql, "instance = $1 AND network <> $2", member.instance, network.id);
    if (taken || is_a_hosts(sql, member.wireguard_key)) {
      core.log().warn("network {}: leaf {}: its {} is somebody else's", network.id, member.instance,
                      taken ? "id" : "key");
      if (before) sql.run("DELETE FROM leaves WHERE instance = $1", member.instance);
      continue;
    }
    put(sql, LeafRow{member.instance, network.id, member.wireguard_key, "", before ? before.mapped().version : 0});
  }
  for (const auto& [instance, row] : known) sql.run("DELETE FROM leaves WHERE instance = $1", instance);
}

bool settle_leaves(Sql& sql, Core& core, const Hosts& hosts) {
  // After a start of the cloud no host has been heard yet.
  const bool just_started = Millis{core.now_ms() - core.started_ms()} < kHostSilence;
  const auto serves = [&](const std::string& host) { return !host.empty() && (just_started || hosts.alive(host)); };
  const auto in_use = sql.rows("SELECT DISTINCT host FROM leaves");
  if (std::ranges::all_of(in_use, [&](const auto& row) { return serves(std::get<std::string>(row[0])); })) return false;

  auto leaves = select<LeafRow>(sql, "true ORDER BY instance");
  bool changed = false;
  for (auto& leaf : leaves) {
    if (serves(leaf.host)) continue;
    const auto host = choose_host(sql, hosts, leaf, leaves);
    if (!host || host->name == leaf.host) continue;
    core.log().info("network {}: leaf {} is served by host {}", leaf.network, leaf.instance, host->name);
    leaf.host = host->name;
    leaf.version = std::max(leaf.version, believed_version(sql, leaf)) + 1;
    put(sql, leaf);
    changed = true;
    static_cast<void>(renew_location_records(sql, core, *host));
  }
  return changed;
}

}  // namespace godwit::cloud
