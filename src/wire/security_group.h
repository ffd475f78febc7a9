// Security groups: which traffic a network's members may begin, and with whom. EC2's model: a group has rules that
// allow; what no rule of any of its groups allows a member, neither begins nor is begun with; answers belong to what
// was begun.
#pragma once

#include "wire/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::wire {

// A member that names no group is in this one. Where the network doesn't have it, it allows all from its own members,
// and all to anybody.
constexpr const char* kDefaultGroup = "default";
constexpr std::size_t kMostGroups = 64;        // of a network, with the default one
constexpr std::size_t kMostMemberGroups = 16;  // of a member
constexpr std::size_t kMostRules = 60;         // of a group, in one direction

BOOST_DEFINE_ENUM_CLASS(GroupProtocol, all, tcp, udp, icmp, icmpv6)

struct GroupRule {
  GroupProtocol protocol{GroupProtocol::all};
  std::uint16_t from_port{0};  // tcp, udp: of the side that is asked; both are among them
  std::uint16_t to_port{65535};
  std::int32_t icmp_type{-1};  // icmp, icmpv6: -1 for all
  std::string cidr;            // the other side: "10.77.0.0/24", "::/0", …
  std::string group;           // or: the members of this group, if there is one. One of the two is empty.

  bool operator==(const GroupRule&) const = default;
};
BOOST_DESCRIBE_STRUCT(GroupRule, (), (protocol, from_port, to_port, icmp_type, cidr, group))

struct SecurityGroup {
  std::string name;
  std::vector<GroupRule> ingress;
  std::vector<GroupRule> egress;

  bool operator==(const SecurityGroup&) const = default;
};
BOOST_DESCRIBE_STRUCT(SecurityGroup, (), (name, ingress, egress))

BOOST_DEFINE_ENUM_CLASS(RuleDirection, ingress, egress)

// POST /v1/security-groups/NAME/authorize and …/revoke of sky.
struct RuleChange {
  RuleDirection direction{RuleDirection::ingress};
  GroupRule rule;
};
BOOST_DESCRIBE_STRUCT(RuleChange, (), (direction, rule))

struct SecurityGroupList {
  std::vector<SecurityGroup> groups;
};
BOOST_DESCRIBE_STRUCT(SecurityGroupList, (), (groups))

// All to anybody.
[[nodiscard]] std::vector<GroupRule> open_egress();
// What kDefaultGroup is until somebody changes it.
[[nodiscard]] SecurityGroup default_group();

// Rule and group by themselves: that the groups that rules name exist is for who has them all.
// Errors: invalid_argument, naming the field.
[[nodiscard]] Result<> validate(const GroupRule& rule);
[[nodiscard]] Result<> validate(const SecurityGroup& group);

}  // namespace godwit::wire
