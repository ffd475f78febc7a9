#include "cli/security_group_text.h"

#include "cli/table.h"

namespace godwit::cli {
namespace {

std::string what_of(const wire::GroupRule& rule) {
  if (rule.icmp_type >= 0) return fmt::format("type {}", rule.icmp_type);
  if (rule.from_port == 0 && rule.to_port == 65535) return "all";
  if (rule.from_port == rule.to_port) return std::to_string(rule.from_port);
  return fmt::format("{}-{}", rule.from_port, rule.to_port);
}

void add_rules(Table& table, const char* direction, const std::vector<wire::GroupRule>& rules) {
  for (const auto& rule : rules) {
    const std::string protocol = boost::describe::enum_to_string(rule.protocol, "?");
    table.add({direction, protocol, what_of(rule), rule.group.empty() ? rule.cidr : "group " + rule.group});
  }
}

}  // namespace

std::string security_groups_text(const wire::SecurityGroupList& list) {
  Table table({{"GROUP"}, {"INGRESS", Align::right}, {"EGRESS", Align::right}});
  for (const auto& each : list.groups) {
    table.add({each.name, std::to_string(each.ingress.size()), std::to_string(each.egress.size())});
  }
  return table.text();
}

std::string security_group_text(const wire::SecurityGroup& group) {
  Table table({{"DIRECTION"}, {"PROTOCOL"}, {"PORTS"}, {"WITH"}});
  add_rules(table, "ingress", group.ingress);
  add_rules(table, "egress", group.egress);
  if (table.empty()) return fmt::format("{} lets nobody in and nothing out.\n", group.name);
  return table.text();
}

}  // namespace godwit::cli
