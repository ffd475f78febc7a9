#include "cloud/networks.h"

#include "base/id.h"
#include "cloud/desired.h"
#include "cloud/foreign_locations.h"
#include "cloud/lans.h"
#include "cloud/leaves.h"

#include <set>

namespace godwit::cloud {
namespace {

Result<> check_members(const wire::Network& network) {
  std::set<std::string> seen;
  for (const auto& member : network.members) {
    for (const auto& key : {member.instance, "mac " + member.mac, "ip " + member.ip, "name " + member.name}) {
      if (seen.insert(key).second) continue;
      return fail(Errc::invalid_argument, "network {}: members: {} stands twice", network.id, key.substr(0, 80));
    }
    if (!member.location.cloud.empty() && !is_label(member.location.cloud)) {
      return fail(Errc::invalid_argument, "network {}: members: location.cloud must be a DNS label", network.id);
    }
  }
  return {};
}

// Anything that would be left without its network.
bool in_use(Sql& sql, const std::string& id, std::int64_t now_ms) {
  return !sql.rows(
                 "SELECT id FROM instances WHERE network = $1 AND state NOT IN ('terminated', 'moved')"
                 " UNION ALL SELECT id FROM migrations WHERE network = $1 AND closed_ms = 0"
                 " UNION ALL SELECT id FROM tickets WHERE network = $1 AND used_ms = 0 AND withdrawn = 0"
                 " AND expires_ms > $2",
                 id, now_ms)
              .empty();
}

}  // namespace

Result<> Networks::start() { return trust(); }

Result<wire::Network> Networks::put_network(const User& user, wire::Network network) {
  if (network.tenant.empty()) network.tenant = user.tenant;
  if (network.tenant != user.tenant) {
    return fail(Errc::denied, "network {}: it says tenant {}, the bearer token is of {}", network.id.substr(0, 64),
                network.tenant.substr(0, 64), user.tenant);
  }
  for (const auto& valid : {wire::validate(network), check_members(network)}) {
    if (!valid) return pass(valid);
  }
  const auto written = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::Network> {
    const auto known = select_one<NetworkRow>(sql, "id = $1", network.id);
    if (known && known->tenant != user.tenant) {
      return fail(Errc::conflict, "network {}: the id is taken; draw another", network.id);
    }
    const auto own = sql.rows("SELECT id FROM networks WHERE tenant = $1", user.tenant).size();
    if (!known && own >= kNetworksPerTenant) {
      return fail(Errc::exhausted, "network {}: {} networks a tenant are the limit", network.id, kNetworksPerTenant);
    }
    const auto same_vni = select_one<NetworkRow>(sql, "vni = $1 AND id <> $2", network.vni, network.id);
    if (same_vni) return fail(Errc::conflict, "network {}: VNI {} is taken; draw another", network.id, network.vni);
    // Membership is sky's: members that it does not name any more go, and what was believed of them with them.
    auto body = believe(sql, core_, network, known ? known->body : wire::Network{});
    if (has_none_for(sql, core_, body)) give_up_name(sql, body);
    put(sql, NetworkRow{network.id, user.tenant, network.vni, body});
    take_leaves(sql, core_, body);
    static_cast<void>(settle_leaves(sql, core_, hosts_));
    return with_own_locations(sql, core_, std::move(body));
  });
  if (written) core_.announce_change();
  return written;
}

Result<wire::Network> Networks::get(const User& user, const std::string& id) const {
  bool must_write = false;
  const auto look = [&](Sql& sql) -> Result<wire::Network> {
    auto row = own_network(sql, user, id);
    if (!row) return pass(row);
    must_write = has_none_for(sql, core_, row->body);
    return with_own_locations(sql, core_, std::move(row->body));
  };
  auto told = core_.database().read(look);
  if (!must_write) return told;
  return core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::Network> {
    auto row = own_network(sql, user, id);
    if (!row) return pass(row);
    if (has_none_for(sql, core_, row->body)) give_up_name(sql, row->body);
    put(sql, *row);
    return with_own_locations(sql, core_, std::move(row->body));
  });
}

Result<> Networks::remove(const User& user, const std::string& id) {
  const auto removed = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    const auto row = own_network(sql, user, id);
    if (!row) return pass(row);
    if (in_use(sql, id, core_.now_ms())) {
      return fail(Errc::conflict, "network {}: instances are on it; terminate them first", id);
    }
    sql.run("DELETE FROM network_peers WHERE network = $1", id);
    sql.run("DELETE FROM leaves WHERE network = $1", id);
    sql.run("DELETE FROM networks WHERE id = $1", id);
    return {};
  });
  if (!removed) return removed;
  core_.announce_change();
  return trust();
}

Result<> Networks::check_peer(Sql& sql, const User& user, const wire::CloudCa& peer) const {
  if (!is_label(peer.cloud)) return fail(Errc::invalid_argument, "peers: cloud must be a DNS label");
  if (peer.cloud == core_.name()) {
    return fail(Errc::denied, "peers: {} is this cloud itself; nobody else vouches for its hosts", peer.cloud);
  }
  if (peer.pem.size() > crypto::kPemBytes)
    return fail(Errc::invalid_argument, "peers: {}: pem is too long", peer.cloud);
  const auto ca = crypto::inspect_certificate(peer.pem);
  if (!ca) return fail(ca, "peers: " + peer.cloud);
  if (!ca->authority || ca->name != peer.cloud + ".godwit") {
    return fail(Errc::invalid_argument, "peers: {}: pem must be the certificate of the CA {}.godwit, not of {}",
                peer.cloud, peer.cloud, ca->name);
  }
  // The first CA under a name stands: else any tenant could pass its own hosts off as another cloud's.
  for (const auto& other : select<NetworkPeerRow>(sql, "cloud = $1", peer.cloud)) {
    if (other.pem == peer.pem) continue;
    const auto network = select_one<NetworkRow>(sql, "id = $1", other.network);
    if (network && network->tenant != user.tenant) {
      return fail(Errc::conflict, "peers: another CA stands here under the name {} already; ask the operator of {}",
                  peer.cloud, core_.name());
    }
  }
  return {};
}

Result<wire::NetworkPeers> Networks::put_peers(const User& user, const std::string& id,
                                               const wire::NetworkPeers& peers) {
  if (peers.clouds.size() > kPeersPerNetwork) {
    return fail(Errc::invalid_argument, "peers: at most {} clouds a network", kPeersPerNetwork);
  }
  const auto written = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    const auto network = own_network(sql, user, id);
    if (!network) return pass(network);
    std::set<std::string> seen;
    for (const auto& peer : peers.clouds) {
      const auto good = check_peer(sql, user, peer);
      if (!good) return good;
      if (!seen.insert(peer.cloud).second) {
        return fail(Errc::invalid_argument, "peers: cloud {} stands twice", peer.cloud);
      }
    }
    sql.run("DELETE FROM network_peers WHERE network = $1", id);
    for (const auto& peer : peers.clouds) {
      put(sql, NetworkPeerRow{id, peer.cloud, peer.pem});
      // A tenant that renews a cloud's CA does so for all of its networks: one name, one CA.
      sql.run("UPDATE network_peers SET pem = $1 WHERE cloud = $2", peer.pem, peer.cloud);
    }
    return {};
  });
  if (!written) return pass(written);
  core_.announce_change();
  const auto trusted = trust();
  if (!trusted) return pass(trusted);
  return peers;
}

Result<> Networks::trust() {
  return core_.database().read([&](Sql& sql) -> Result<> {
    std::vector<std::string> networks;
    for (const auto& row : select<NetworkRow>(sql, "true ORDER BY id")) networks.push_back(row.id);
    std::vector<sys::TrustedCa> authorities;
    for (auto& each : trusted_on(sql, core_, networks)) authorities.push_back({each.cloud, each.pem});
    core_.http().trust(std::move(authorities));
    return {};
  });
}

}  // namespace godwit::cloud
