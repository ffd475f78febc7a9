// A network's security groups, compiled: may a member of these groups begin this with that one? Without memory of what
// was begun: that is PortFilter's. Pure. The model: wire/security_group.h.
#pragma once

#include "wire/ipv6.h"
#include "wire/network.h"

namespace godwit::overlay {

using GroupMask = std::uint64_t;  // bit i: the network's group number i
static_assert(wire::kMostGroups <= 64);

// What somebody wants to begin with somebody.
struct Ask {
  bool ipv4{false};
  std::uint8_t protocol{0};
  std::uint16_t port{0};  // TCP, UDP: of the side that is asked
  std::uint8_t icmp_type{0};
  wire::Ipv6 other;  // IPv4 as ::ffff:a.b.c.d
  GroupMask other_groups{0};
};

class SecurityGroups {
 public:
  SecurityGroups() : SecurityGroups(std::vector<wire::SecurityGroup>{}) {}
  // `groups` are checked: wire::validate(Network).
  explicit SecurityGroups(const std::vector<wire::SecurityGroup>& groups);

  // Of a member in groups of these names; in none: in wire::kDefaultGroup.
  [[nodiscard]] GroupMask mask_of(const std::vector<std::string>& names) const;
  [[nodiscard]] std::vector<std::string> names_of(GroupMask mask) const;  // empty: the default group alone
  // Between members of these groups everything is allowed, and nothing need be looked at: where all are in the default
  // group alone, as it is while nobody has changed it.
  [[nodiscard]] bool open(GroupMask of_all_members) const;

  // Linear in the rules of `mine`.
  [[nodiscard]] bool allows(GroupMask mine, wire::RuleDirection direction, const Ask& ask) const;

 private:
  struct Rule {
    wire::GroupProtocol protocol{wire::GroupProtocol::all};
    std::uint16_t from_port{0};
    std::uint16_t to_port{0};
    std::int32_t icmp_type{-1};
    bool ipv4{false};
    wire::Ipv6Prefix prefix;  // of `other`; IPv4's as ::ffff:0:0/96 and longer
    GroupMask groups{0};      // or: one of these; 0 where the prefix counts

    [[nodiscard]] bool matches(const Ask& ask) const;
  };
  struct Group {
    std::string name;
    std::vector<Rule> ingress;
    std::vector<Rule> egress;
  };

  [[nodiscard]] std::vector<Rule> compile(const std::vector<wire::GroupRule>& rules) const;
  [[nodiscard]] GroupMask bit_of(const std::string& name) const;  // 0: there is none

  std::vector<Group> groups_;
  GroupMask default_{0};
  bool default_changed_{false};
};

}  // namespace godwit::overlay
