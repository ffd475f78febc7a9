#include "wire/security_group.h"

#include "base/id.h"
#include "wire/ipv6.h"

namespace godwit::wire {
namespace {

bool is_cidr(const std::string& text) { return parse_ipv4_prefix(text) || parse_ipv6_prefix(text); }

}  // namespace

std::vector<GroupRule> open_egress() {
  GroupRule ipv4;
  ipv4.cidr = "0.0.0.0/0";
  GroupRule ipv6;
  ipv6.cidr = "::/0";
  return {ipv4, ipv6};
}

SecurityGroup default_group() {
  GroupRule among_themselves;
  among_themselves.group = kDefaultGroup;
  return {kDefaultGroup, {among_themselves}, open_egress()};
}

Result<> validate(const GroupRule& rule) {
  const auto bad = [](std::string_view what) { return fail(Errc::invalid_argument, "rule: {}", what); };
  if (rule.cidr.empty() == rule.group.empty()) return bad("must have a cidr or a group, and not both");
  if (!rule.cidr.empty() && !is_cidr(rule.cidr)) return bad("cidr must be like 10.77.0.0/24 or fd00::/8");
  if (!rule.group.empty() && !is_label(rule.group)) return bad("group must be a group's name");
  if (rule.from_port > rule.to_port) return bad("from_port must be at most to_port");
  if (rule.icmp_type < -1 || rule.icmp_type > 255) return bad("icmp_type must be 0 to 255, or -1 for all");
  const bool ports = rule.protocol == GroupProtocol::tcp || rule.protocol == GroupProtocol::udp;
  const bool icmp = rule.protocol == GroupProtocol::icmp || rule.protocol == GroupProtocol::icmpv6;
  if (!ports && (rule.from_port != 0 || rule.to_port != 65535)) return bad("only tcp and udp have ports");
  if (!icmp && rule.icmp_type != -1) return bad("only icmp and icmpv6 have an icmp_type");
  return {};
}

Result<> validate(const SecurityGroup& group) {
  if (!is_label(group.name)) {
    return fail(Errc::invalid_argument, "security group \"{}\": name must be a DNS label", group.name.substr(0, 64));
  }
  for (const auto* rules : {&group.ingress, &group.egress}) {
    if (rules->size() > kMostRules) {
      return fail(Errc::invalid_argument, "security group {}: at most {} rules in each direction", group.name,
                  kMostRules);
    }
    for (const auto& rule : *rules) {
      const auto valid = validate(rule);
      if (!valid) return fail(valid, "security group " + group.name);
    }
  }
  return {};
}

}  // namespace godwit::wire
