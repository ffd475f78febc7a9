#include "sky/leaves.h"

#include "base/id.h"
#include "crypto/host_record.h"
#include "sky/addresses.h"
#include "wire/ipv6.h"

#include <algorithm>
#include <set>

namespace godwit::sky {
namespace {

bool is_leaf(const wire::Member& member) { return !member.wireguard_key.empty(); }

std::string why(const ClusterRecord& record, const wire::LeafRequest& request) {
  return fmt::format("network {}: join {}", record.network.name, request.name.substr(0, 64));
}

Result<> check(const ClusterRecord& record, const wire::LeafRequest& request) {
  if (!is_label(request.name) || request.name == "gateway") {
    return fail(Errc::invalid_argument, "{}: the name must be a DNS label, and not \"gateway\"", why(record, request));
  }
  const auto key = crypto::host_key_from_hex(request.key);
  if (!key || to_hex(*key) != request.key) {
    return fail(Errc::invalid_argument, "{}: the key must be a WireGuard's public key, as 64 hex digits",
                why(record, request));
  }
  for (const auto& member : record.network.members) {
    if (member.name == request.name) {
      return fail(Errc::conflict, "{}: there is another member of that name (choose one with --name{})",
                  why(record, request), is_leaf(member) ? ", or let that one leave first" : "");
    }
    if (member.wireguard_key == request.key) {
      return fail(Errc::conflict, "{}: {} has that key already", why(record, request), member.name);
    }
  }
  return {};
}

// The lowest that nobody has; those of members that are gone are free again.
Result<std::string> free_address(const ClusterRecord& record, const wire::LeafRequest& request) {
  const auto cidr = parse_cidr(record.network.cidr);
  if (!cidr) return pass(cidr);
  std::set<std::string> taken;
  for (const auto& member : record.network.members) taken.insert(member.ip);
  for (std::uint32_t nth = kFirstMember; nth + 1 < cidr->size(); ++nth) {  // the last one is the broadcast's
    auto address = cidr->address(nth);
    if (!taken.contains(address)) return address;
  }
  return fail(Errc::exhausted, "{}: every address of {} is taken", why(record, request), record.network.cidr);
}

Result<std::string> choose_cloud(const ClusterRecord& record, const wire::LeafRequest& request) {
  const auto& clouds = record.clouds;
  if (!request.cloud.empty()) {
    if (std::ranges::find(clouds, request.cloud) != clouds.end()) return request.cloud;
    return fail(Errc::not_found, "{}: cloud \"{}\" is none of the cluster's ({})", why(record, request),
                request.cloud.substr(0, 64), fmt::join(clouds, ", "));
  }
  const auto members_at = [&](const std::string& cloud) {
    return std::ranges::count_if(record.members, [&](const MemberRecord& each) { return each.cloud == cloud; });
  };
  const auto best = std::ranges::max_element(clouds, {}, members_at);
  if (best == clouds.end()) return fail(Errc::unavailable, "{}: the cluster has no cloud", why(record, request));
  return *best;
}

wire::LeafView view_of_leaf(const ClusterRecord& record, const Sights& sights, const wire::Member& member) {
  wire::LeafView out;
  out.name = member.name;
  out.instance = member.instance;
  out.ip = member.ip;
  const auto prefix = wire::parse_ipv6_prefix(record.network.cidr6);
  const auto ip = wire::parse_ipv4(member.ip);
  if (prefix && ip) out.ipv6 = to_string(wire::member_address(*prefix, *ip));
  out.key = member.wireguard_key;
  out.cloud = member.served_by;
  const auto& at = member.location;
  const auto bytes = crypto::statement_from_text(at.record);
  const auto host = bytes ? crypto::read_host_record(*bytes) : pass(bytes);
  if (at.version != 0 && host) {
    out.host = at.host;
    const auto ip_text = at.underlay_ip.contains(':') ? "[" + at.underlay_ip + "]" : at.underlay_ip;
    out.endpoint = fmt::format("{}:{}", ip_text, at.underlay_port);
    out.host_key = to_hex(host->key);
    return out;
  }
  const auto sight = sights.find(member.served_by);
  out.problem = sight != sights.end() && !sight->second.problem.empty()
                    ? sight->second.problem
                    : fmt::format("{} has not said yet which of its hosts serves it", member.served_by);
  return out;
}

}  // namespace

Result<> add_leaf(ClusterRecord& record, const wire::LeafRequest& request, sys::Random& random) {
  auto& members = record.network.members;
  const auto same = [&](const wire::Member& each) {
    return is_leaf(each) && each.name == request.name && each.wireguard_key == request.key;
  };
  if (std::ranges::any_of(members, same)) return {};
  const auto valid = check(record, request);
  if (!valid) return valid;
  if (std::ranges::count_if(members, is_leaf) >= static_cast<std::ptrdiff_t>(wire::kMostLeaves)) {
    return fail(Errc::exhausted, "{}: {} a network are the limit", why(record, request), wire::kMostLeaves);
  }
  auto cloud = choose_cloud(record, request);
  if (!cloud) return pass(cloud);
  auto address = free_address(record, request);
  if (!address) return pass(address);
  auto& member = members.emplace_back();
  member.instance = random.id("i");
  member.name = request.name;
  member.mac = draw_mac(random);
  member.ip = std::move(*address);
  member.groups = record.spec.security_groups;
  member.wireguard_key = request.key;
  member.served_by = std::move(*cloud);
  return {};
}

Result<> remove_leaf(ClusterRecord& record, const std::string& name) {
  const auto is = [&](const wire::Member& each) { return is_leaf(each) && each.name == name; };
  if (std::erase_if(record.network.members, is) != 0) return {};
  return fail(Errc::not_found, "network {}: no \"{}\" has joined it (godwit network leaves {} shows who has)",
              record.network.name, name.substr(0, 64), record.network.name);
}

wire::LeafList leaves_of(const ClusterRecord& record, const Sights& sights) {
  wire::LeafList out;
  out.network = record.network;
  out.network.key.clear();
  out.network.members.clear();
  for (const auto& member : record.network.members) {
    if (is_leaf(member)) out.leaves.push_back(view_of_leaf(record, sights, member));
  }
  return out;
}

}  // namespace godwit::sky
