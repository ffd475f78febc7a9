#include "overlay/security_groups.h"

#include "overlay/headers.h"

#include <algorithm>
#include <bit>

namespace godwit::overlay {
namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint64_t kMappedIpv4 = 0xffff00000000ULL;

}  // namespace

SecurityGroups::SecurityGroups(const std::vector<wire::SecurityGroup>& groups) {
  auto all = groups;
  const auto found = std::ranges::find(all, wire::kDefaultGroup, &wire::SecurityGroup::name);
  default_changed_ = found != all.end() && *found != wire::default_group();
  if (found == all.end()) all.push_back(wire::default_group());
  for (const auto& each : all) groups_.push_back({each.name, {}, {}});
  default_ = bit_of(wire::kDefaultGroup);
  for (std::size_t i = 0; i < all.size(); ++i) {
    groups_[i].ingress = compile(all[i].ingress);
    groups_[i].egress = compile(all[i].egress);
  }
}

std::vector<SecurityGroups::Rule> SecurityGroups::compile(const std::vector<wire::GroupRule>& rules) const {
  std::vector<Rule> out;
  for (const auto& each : rules) {
    Rule rule{each.protocol, each.from_port, each.to_port, each.icmp_type, false, {}, 0};
    if (!each.group.empty()) {
      rule.groups = bit_of(each.group);
      if (rule.groups == 0) continue;
    } else if (const auto ipv4 = wire::parse_ipv4_prefix(each.cidr)) {
      rule.ipv4 = true;
      rule.prefix = {{0, kMappedIpv4 | ipv4->address.bits}, 96 + ipv4->length};
    } else {
      rule.prefix = wire::parse_ipv6_prefix(each.cidr).value();
    }
    out.push_back(rule);
  }
  return out;
}

GroupMask SecurityGroups::bit_of(const std::string& name) const {
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if (groups_[i].name == name) return GroupMask{1} << i;
  }
  return 0;
}

GroupMask SecurityGroups::mask_of(const std::vector<std::string>& names) const {
  GroupMask out = 0;
  for (const auto& name : names) out |= bit_of(name);
  return names.empty() ? default_ : out;
}

std::vector<std::string> SecurityGroups::names_of(GroupMask mask) const {
  std::vector<std::string> out;
  if (mask == default_) return out;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if ((mask >> i & 1U) != 0) out.push_back(groups_[i].name);
  }
  return out;
}

bool SecurityGroups::open(GroupMask of_all_members) const {
  return !default_changed_ && (of_all_members & ~default_) == 0;
}

bool SecurityGroups::Rule::matches(const Ask& ask) const {
  switch (protocol) {
    case wire::GroupProtocol::all: break;
    case wire::GroupProtocol::tcp:
    case wire::GroupProtocol::udp: {
      const auto wanted = protocol == wire::GroupProtocol::tcp ? kTcp : kUdp;
      if (ask.protocol != wanted || ask.port < from_port || ask.port > to_port) return false;
      break;
    }
    case wire::GroupProtocol::icmp:
    case wire::GroupProtocol::icmpv6: {
      const bool ipv4_wanted = protocol == wire::GroupProtocol::icmp;
      if (ask.ipv4 != ipv4_wanted || ask.protocol != (ipv4_wanted ? kIcmp : wire::kIcmpv6)) return false;
      if (icmp_type >= 0 && ask.icmp_type != icmp_type) return false;
      break;
    }
  }
  if (groups != 0) return (ask.other_groups & groups) != 0;
  return ask.ipv4 == ipv4 && prefix.contains(ask.other);
}

bool SecurityGroups::allows(GroupMask mine, wire::RuleDirection direction, const Ask& ask) const {
  for (auto left = mine; left != 0; left &= left - 1) {
    const auto& group = groups_[static_cast<std::size_t>(std::countr_zero(left))];
    const auto& rules = direction == wire::RuleDirection::ingress ? group.ingress : group.egress;
    if (std::ranges::any_of(rules, [&](const Rule& rule) { return rule.matches(ask); })) return true;
  }
  return false;
}

}  // namespace godwit::overlay
