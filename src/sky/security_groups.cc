#include "sky/security_groups.h"

#include <algorithm>
#include <set>

namespace godwit::sky {
namespace {

std::vector<wire::GroupRule>& rules_of(wire::SecurityGroup& group, wire::RuleDirection direction) {
  return direction == wire::RuleDirection::ingress ? group.ingress : group.egress;
}

}  // namespace

SecurityGroups::SecurityGroups(Store& store, const std::vector<wire::SecurityGroup>& known) : store_(store) {
  for (const auto& each : known) groups_[each.name] = each;
}

wire::SecurityGroupList SecurityGroups::list() const {
  wire::SecurityGroupList out;
  out.groups.push_back(get(wire::kDefaultGroup).value());
  for (const auto& [name, group] : groups_) {
    if (name != wire::kDefaultGroup) out.groups.push_back(group);
  }
  return out;
}

Result<wire::SecurityGroup> SecurityGroups::get(const std::string& name) const {
  const auto found = groups_.find(name);
  if (found != groups_.end()) return found->second;
  if (name == wire::kDefaultGroup) return wire::default_group();
  return fail(Errc::not_found, "security group \"{}\": there is none (godwit security-group list shows them)",
              name.substr(0, 64));
}

Result<> SecurityGroups::keep(const wire::SecurityGroup& group) {
  const auto valid = wire::validate(group);
  if (!valid) return valid;
  for (const auto* rules : {&group.ingress, &group.egress}) {
    for (const auto& rule : *rules) {
      if (rule.group.empty() || rule.group == group.name) continue;
      const auto named = get(rule.group);
      if (!named) return pass(named);
    }
  }
  const auto saved = store_.save(group);
  if (!saved) return fail(saved, "security group " + group.name);
  groups_[group.name] = group;
  return {};
}

Result<wire::SecurityGroup> SecurityGroups::create(wire::SecurityGroup group) {
  if (const auto known = get(group.name)) return *known;
  if (groups_.size() >= kMost) {
    return fail(Errc::exhausted, "security group {}: there are {}, the most there may be", group.name.substr(0, 64),
                kMost);
  }
  if (group.ingress.empty() && group.egress.empty()) group.egress = wire::open_egress();
  const auto kept = keep(group);
  if (!kept) return pass(kept);
  return group;
}

Result<> SecurityGroups::remove(const std::string& name) {
  const auto known = get(name);
  if (!known) return pass(known);
  if (name == wire::kDefaultGroup) {
    return fail(Errc::conflict, "delete security group {}: it is whose members name none (revoke its rules)", name);
  }
  for (const auto& [other, group] : groups_) {
    if (other == name) continue;
    for (const auto* rules : {&group.ingress, &group.egress}) {
      if (std::ranges::find(*rules, name, &wire::GroupRule::group) != rules->end()) {
        return fail(Errc::conflict, "delete security group {}: a rule of {} names it (revoke that first)", name, other);
      }
    }
  }
  const auto removed = store_.remove_security_group(name);
  if (!removed) return fail(removed, "delete security group " + name);
  groups_.erase(name);
  return {};
}

Result<wire::SecurityGroup> SecurityGroups::authorize(const std::string& name, const wire::RuleChange& change) {
  auto group = get(name);
  if (!group) return group;
  auto& rules = rules_of(*group, change.direction);
  if (std::ranges::find(rules, change.rule) != rules.end()) return group;
  rules.push_back(change.rule);
  const auto kept = keep(*group);
  if (!kept) return pass(kept);
  return group;
}

Result<wire::SecurityGroup> SecurityGroups::revoke(const std::string& name, const wire::RuleChange& change) {
  auto group = get(name);
  if (!group) return group;
  if (std::erase(rules_of(*group, change.direction), change.rule) == 0) {
    return fail(Errc::not_found, "security group {}: it has no such rule (godwit security-group show {} shows them)",
                name, name);
  }
  const auto kept = keep(*group);
  if (!kept) return pass(kept);
  return group;
}

Result<> SecurityGroups::check(const std::vector<std::string>& names) const {
  if (names.size() > wire::kMostMemberGroups) {
    return fail(Errc::invalid_argument, "security groups: a member is in at most {}", wire::kMostMemberGroups);
  }
  for (const auto& name : names) {
    const auto known = get(name);
    if (!known) return pass(known);
  }
  return {};
}

std::vector<wire::SecurityGroup> SecurityGroups::of(const wire::Network& network) const {
  std::set<std::string> names;
  for (const auto& member : network.members) {
    names.insert(member.groups.begin(), member.groups.end());
    if (member.groups.empty()) names.insert(wire::kDefaultGroup);
  }
  std::vector<wire::SecurityGroup> out;
  for (const auto& name : names) {
    const auto found = groups_.find(name);
    if (found != groups_.end()) out.push_back(found->second);
  }
  return out;
}

}  // namespace godwit::sky
