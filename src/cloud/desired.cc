#include "cloud/desired.h"

#include "cloud/boot_orders.h"
#include "cloud/content.h"
#include "cloud/host_records.h"
#include "cloud/images.h"
#include "cloud/lans.h"
#include "cloud/snapshots.h"
#include "crypto/digest.h"
#include "overlay/location_claim.h"

#include <algorithm>
#include <set>

namespace godwit::cloud {
namespace {

constexpr std::string_view kArriving =
    "role = 'destination' AND host = $1 AND closed_ms = 0 AND owned = 0 AND fence <> 'aborted' ORDER BY id";
constexpr std::string_view kAlive = "host = $1 AND state NOT IN ('terminated', 'moved') ORDER BY id";

// A moment ago on this cloud's own hosts, so it outranks what others say of the same version.
void claim(wire::Member& member, std::uint64_t version, const HostRow& host, const std::string& record,
           const LocationRecordRow* signed_as, const std::string& cloud) {
  if (version == 0 || version < member.location.version) return;
  if (host.report.overlay_port == 0) return;  // its agent has not heard from the switch yet
  member.location = {cloud, host.name, host.report.overlay_ip, host.report.overlay_port, version, record};
  if (!signed_as || signed_as->host != host.name || signed_as->epoch != version) return;
  member.location.claim = signed_as->claim;
  member.location.until_ms = signed_as->until_ms;
}

// A switch believes its own cloud without proofs. It needs those that it shows to others: of what is at its host, and
// of what has moved a while ago, for those who have not heard of it.
void leave_out_proofs(wire::Network& network, const std::string& cloud, const std::string& host) {
  for (auto& member : network.members) {
    auto& location = member.location;
    const bool here = location.cloud == cloud && location.host == host;
    if (!here && overlay::hand_offs_of(location.claim).empty()) location.claim.clear();
  }
}

std::vector<wire::DesiredInstance> desired_instances(Sql& sql, const HostRow& host, std::set<std::string>& networks) {
  std::vector<wire::DesiredInstance> out;
  for (auto& row : select<InstanceRow>(sql, kAlive, host.name)) {
    networks.insert(row.network);
    out.push_back({std::move(row.spec), row.wanted, ""});
  }
  for (auto& row : select<MigrationRow>(sql, kArriving, host.name)) {
    networks.insert(row.network);
    out.push_back({std::move(row.spec), wire::DesiredInstanceState::running, row.id});
  }
  for (const auto& id : strays_of(sql, host)) {
    if (!is_known_gone(sql, id, host.name)) continue;
    auto row = select_one<InstanceRow>(sql, "id = $1", id);
    if (row) out.push_back({std::move(row->spec), wire::DesiredInstanceState::absent, ""});
  }
  return out;
}

// Orders of the source's side until its agent reports the end; of the destination's only what a person has decided.
std::vector<wire::MigrationOrder> desired_migrations(Sql& sql, const std::string& host) {
  std::vector<wire::MigrationOrder> out;
  for (const auto& row : select<MigrationRow>(sql, "host = $1 AND closed_ms = 0 ORDER BY id, role", host)) {
    if (row.role == wire::MigrationRole::destination && row.fence == wire::Decision::none) continue;
    out.push_back({row.id, row.instance, row.granted, row.options, row.cancel, row.vote, row.fence, row.hand_offs});
  }
  return out;
}

}  // namespace

bool is_known_gone(Sql& sql, const std::string& instance, const std::string& host) {
  const auto row = select_one<InstanceRow>(sql, "id = $1", instance);
  if (!row || row->host == host) return row && row->state == wire::InstanceState::terminated;
  if (row->state == wire::InstanceState::terminated) return true;
  // On another host of this cloud, or moved: gone from here only if a migration that has ended took it from here.
  const auto last = select_one<MigrationRow>(
      sql, "instance = $1 AND host = $2 AND role = 'source' ORDER BY opened_ms DESC LIMIT 1", instance, host);
  return last && last->closed_ms != 0 && last->report.phase == wire::MigrationPhase::completed;
}

std::vector<std::string> strays_of(Sql& sql, const HostRow& host) {
  std::set<std::string> own;
  for (const auto& row : select<InstanceRow>(sql, kAlive, host.name)) own.insert(row.id);
  // A migration that is open decides by itself what becomes of the instance at both of its ends.
  for (const auto& row : select<MigrationRow>(sql, "host = $1 AND closed_ms = 0", host.name)) own.insert(row.instance);
  std::set<std::string> strays;
  for (const auto& report : host.report.instances) {
    if (!own.contains(report.id)) strays.insert(report.id);
  }
  return {strays.begin(), strays.end()};
}

wire::Network with_own_locations(Sql& sql, Core& core, wire::Network network) {
  struct Place {
    std::string host;
    std::uint64_t version{0};
  };
  std::map<std::string, Place> places;
  for (auto& row : select<LeafRow>(sql, "network = $1 AND host <> ''", network.id)) {
    places[row.instance] = {std::move(row.host), row.version};
  }
  for (auto& row : select<InstanceRow>(sql, "network = $1 AND tenant = $2 AND state NOT IN ('terminated', 'moved')",
                                       network.id, network.tenant)) {
    places[row.id] = {std::move(row.host), row.location_version};
  }
  struct KnownHost {
    std::optional<HostRow> row;
    std::string record;
  };
  std::map<std::string, KnownHost> hosts;
  std::map<std::string, LocationRecordRow> records;
  for (auto& row : select<LocationRecordRow>(sql, "network = $1", network.id)) {
    auto instance = row.instance;
    records.emplace(std::move(instance), std::move(row));
  }
  for (auto& member : network.members) {
    const auto place = places.find(member.instance);
    if (place == places.end()) continue;
    const auto record = records.find(member.instance);
    auto host = hosts.find(place->second.host);
    if (host == hosts.end()) {
      const auto& name = place->second.host;
      host =
          hosts.emplace(name, KnownHost{select_one<HostRow>(sql, "name = $1", name), host_record_of(sql, name)}).first;
    }
    const auto& known = host->second;
    const auto* signed_as = record == records.end() ? nullptr : &record->second;
    if (known.row) claim(member, place->second.version, *known.row, known.record, signed_as, core.name());
  }
  if (const auto joined = uplink_of(sql, core, network)) {
    network.uplink = {core.name(),  joined->host,    joined->ip,
                      joined->port, joined->version, host_record_of(sql, joined->host)};
  } else if (network.uplink.cloud == core.name()) {
    network.uplink = {};
  }
  return network;
}

std::vector<wire::CloudCa> trusted_on(Sql& sql, Core& core, const std::vector<std::string>& networks) {
  std::map<std::string, std::string> authorities{{core.name(), core.keys().authority_pem}};
  for (const auto& network : networks) {
    for (const auto& peer : select<NetworkPeerRow>(sql, "network = $1", network)) authorities[peer.cloud] = peer.pem;
  }
  std::vector<wire::CloudCa> out;
  out.reserve(authorities.size());
  for (const auto& [cloud, pem] : authorities) out.push_back({cloud, pem});
  return out;
}

wire::DesiredState refresh_desired(Sql& sql, Core& core, const std::string& host_name) {
  wire::DesiredState desired;
  const auto host = select_one<HostRow>(sql, "name = $1", host_name);
  if (!host) return desired;
  desired.cloud = core.name();
  desired.api_url = core.settings().api_url;
  desired.host_record = host_record_of(sql, host_name);

  std::set<std::string> networks;
  desired.instances = desired_instances(sql, *host, networks);
  // The source knocks before its ticket is redeemed: a reservation opens the door as well.
  for (const auto& row : select<TicketRow>(sql, "host = $1 AND used_ms = 0 AND withdrawn = 0 AND expires_ms > $2",
                                           host_name, core.now_ms())) {
    networks.insert(row.network);
  }
  for (auto& joined : networks_joined_at(sql, core, host_name)) {
    if (joined.leased) desired.lan_leases.push_back({joined.network, joined.version});
    networks.insert(std::move(joined.network));
  }
  for (auto& leaf : select<LeafRow>(sql, "host = $1", host_name)) networks.insert(std::move(leaf.network));
  // Without the last word of a migration the other side stays in doubt: until it has it, the two must find each other,
  // though the instance, and with it the network, may have left this host.
  auto believed = networks;
  for (const auto& id : host->report.unsettled) {
    const auto row = select_one<MigrationRow>(sql, "id = $1 AND host = $2", id, host_name);
    if (row) believed.insert(row->network);
  }
  desired.trusted = trusted_on(sql, core, {believed.begin(), believed.end()});
  for (const auto& id : networks) {
    auto row = select_one<NetworkRow>(sql, "id = $1", id);
    if (!row) continue;
    const bool named = is_named_for(core, row->body);
    auto& network = desired.networks.emplace_back(with_own_locations(sql, core, std::move(row->body)));
    if (!named && is_named_for(core, network)) network.uplink = {};  // sky hears of it first
    leave_out_proofs(network, core.name(), host_name);
  }
  desired.migrations = desired_migrations(sql, host_name);
  for (auto& image : select<ImageRow>(sql, "true ORDER BY name, tenant")) desired.images.push_back(desired_of(image));
  add_boot_orders(sql, *host, desired);
  desired.image_port = core.image_port();
  desired.snapshots = desired_snapshots(sql, host_name);
  add_content(sql, core, host_name, desired);

  const auto digest = crypto::sha256_hex(as_bytes(wire::encode(desired)));
  desired.generation = host->generation;
  if (digest != host->desired_sha256) {
    ++desired.generation;
    sql.run("UPDATE hosts SET generation = $1, desired_sha256 = $2 WHERE name = $3", desired.generation, digest,
            host_name);
  }
  return desired;
}

}  // namespace godwit::cloud
