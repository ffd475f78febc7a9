#include "wire/network.h"

#include "base/id.h"
#include "wire/ipv6.h"

#include <set>

namespace godwit::wire {

namespace {

bool is_segment(const Ipv6Prefix& prefix) {
  return prefix.length == 64 && prefix.address.low == 0 && prefix.address.high != 0 && !prefix.address.is_multicast() &&
         !prefix.address.is_link_local();
}

// Each key is one member's: two would be one session.
Result<> check_leaves(const Network& network) {
  const auto bad = [&](std::string_view rule) {
    return fail(Errc::invalid_argument, "network {}: members: {}", network.id, rule);
  };
  std::set<std::string> keys;
  for (const auto& member : network.members) {
    if (member.wireguard_key.empty()) continue;
    const auto key = from_hex(member.wireguard_key);
    if (!key || key->size() != 32 || to_hex(*key) != member.wireguard_key) {
      return bad("must have 64 hex digits as wireguard_key");
    }
    if (!is_label(member.served_by)) return bad("must say which cloud serves those with a wireguard_key");
    if (!keys.insert(member.wireguard_key).second) return bad("must each have a wireguard_key of its own");
  }
  if (keys.size() > kMostLeaves) return bad("must be at most 64 with a wireguard_key");
  return {};
}

Result<> check_groups(const Network& network) {
  const auto bad = [&](std::string_view rule) {
    return fail(Errc::invalid_argument, "network {}: groups {}", network.id, rule);
  };
  if (network.groups.size() >= kMostGroups) return bad("must be at most 63");  // and the default one
  std::set<std::string> names;
  for (const auto& group : network.groups) {
    const auto valid = validate(group);
    if (!valid) return fail(valid, "network " + network.id);
    if (!names.insert(group.name).second) return bad("must each have a name of its own");
  }
  return {};
}

}  // namespace

std::string derive_cidr6(std::string_view network_id) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char each : network_id) hash = (hash ^ static_cast<unsigned char>(each)) * 0x100000001b3ULL;
  return to_string(Ipv6{0xfdULL << 56U | hash >> 8U, 0}) + "/64";
}

Result<> validate(const Network& network) {
  const auto bad = [&](std::string_view field, std::string_view rule) {
    return fail(Errc::invalid_argument, "network {}: {} {}", is_id("net", network.id) ? network.id : "?", field, rule);
  };
  if (!is_id("net", network.id)) return bad("id", "must be net- and 17 hex digits");
  if (!is_label(network.name)) return bad("name", "must be a DNS label");
  if (network.vni == 0 || network.vni >= (1U << 24U)) return bad("vni", "must be 1 to 16777215");
  if (network.mtu < 576 || network.mtu > 9000) return bad("mtu", "must be 576 to 9000");
  if (network.key.size() != 64 || !from_hex(network.key)) return bad("key", "must be 32 bytes in hex");
  const auto segment = parse_ipv6_prefix(network.cidr6);
  if (!network.cidr6.empty() && (!segment || !is_segment(*segment)))
    return bad("cidr6", "must be an IPv6 /64 or empty");
  if (network.members.size() > 4096) return bad("members", "must be at most 4096");
  if (network.uplink.record.size() > kRecordText) return bad("uplink", "must have a record of 700 bytes at most");
  for (const auto& name : {network.uplink.cloud, network.uplink.host}) {
    if (!name.empty() && !is_label(name)) return bad("uplink", "must have DNS labels as cloud and host");
  }
  for (const auto& valid : {check_groups(network), check_leaves(network)}) {
    if (!valid) return valid;
  }
  for (const auto& member : network.members) {
    if (!is_id("i", member.instance)) return bad("members", "must name instances by their ids");
    if (!is_label(member.name)) return bad("members", "must have DNS labels as names");
    if (member.location.record.size() > kRecordText) return bad("members", "must have records of 700 bytes at most");
    if (member.groups.size() > kMostMemberGroups) return bad("members", "must be in at most 16 groups");
    if (member.location.claim.size() > kClaimText) return bad("members", "must have claims of 3900 bytes at most");
  }
  return {};
}

}  // namespace godwit::wire
