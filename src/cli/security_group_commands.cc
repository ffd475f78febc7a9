#include "cli/commands.h"
#include "cli/security_group_text.h"

#include <CLI/CLI.hpp>
#include <charconv>

namespace godwit::cli {
namespace {

struct RuleOptions {
  std::string name;
  std::string direction{"ingress"};
  std::string protocol{"all"};
  std::string ports;
  std::int32_t icmp_type{-1};
  std::string cidr;
  std::string group;
};

Result<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), port);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) {
    return fail(Errc::invalid_argument, "port \"{}\": must be like 22 or 8000-8080", text.substr(0, 32));
  }
  return port;
}

template <class Enum>
Enum named(const std::string& name) {
  Enum out{};
  static_cast<void>(boost::describe::enum_from_string(name.c_str(), out));  // the command line has checked it
  return out;
}

Result<wire::RuleChange> change_of(const RuleOptions& options) {
  wire::RuleChange out;
  out.direction = named<wire::RuleDirection>(options.direction);
  out.rule.protocol = named<wire::GroupProtocol>(options.protocol);
  out.rule.icmp_type = options.icmp_type;
  out.rule.cidr = options.cidr;
  out.rule.group = options.group;
  if (options.ports.empty()) return out;
  const auto dash = options.ports.find('-');
  const auto from = port_of(std::string_view(options.ports).substr(0, dash));
  if (!from) return pass(from);
  const auto to = dash == std::string::npos ? from : port_of(std::string_view(options.ports).substr(dash + 1));
  if (!to) return pass(to);
  out.rule.from_port = *from;
  out.rule.to_port = *to;
  return out;
}

sys::Task<Result<>> list(Session& session) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto groups = co_await sky->get<wire::SecurityGroupList>("/v1/security-groups");
  if (!groups) co_return pass(groups);
  session.print(*groups, security_groups_text(*groups));
  co_return Result<>{};
}

sys::Task<Result<>> show(Session& session, std::string name) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto group = co_await sky->get<wire::SecurityGroup>("/v1/security-groups/" + name);
  if (!group) co_return pass(group);
  session.print(*group, security_group_text(*group));
  co_return Result<>{};
}

sys::Task<Result<>> create(Session& session, std::string name) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  wire::SecurityGroup wanted;
  wanted.name = name;
  const auto group = co_await sky->post<wire::SecurityGroup>("/v1/security-groups", wanted);
  if (!group) co_return pass(group);
  session.print(*group, security_group_text(*group));
  co_return Result<>{};
}

sys::Task<Result<>> erase(Session& session, std::string name) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto removed = co_await sky->remove<wire::json::value>("/v1/security-groups/" + name);
  if (!removed) co_return pass(removed);
  session.print(*removed, "Security group " + name + " is gone.\n");
  co_return Result<>{};
}

sys::Task<Result<>> change(Session& session, RuleOptions options, std::string verb) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto wanted = change_of(options);
  if (!wanted) co_return pass(wanted);
  const auto path = fmt::format("/v1/security-groups/{}/{}", options.name, verb);
  const auto group = co_await sky->post<wire::SecurityGroup>(path, *wanted);
  if (!group) co_return pass(group);
  session.print(*group, security_group_text(*group));
  co_return Result<>{};
}

void add_change(CLI::App& noun, const Choose& choose, const std::string& name, const std::string& help,
                const std::string& examples) {
  const auto wanted = std::make_shared<RuleOptions>();
  CLI::App* verb = add_verb(noun, choose, name, help, examples,
                            [wanted, name](Session& session) { return change(session, *wanted, name); });
  verb->add_option("name", wanted->name, "The group")->required();
  verb->add_option("--direction", wanted->direction, "ingress: what may begin with its members; egress: what they may")
      ->check(CLI::IsMember({"ingress", "egress"}))
      ->capture_default_str();
  verb->add_option("--protocol", wanted->protocol, "all, tcp, udp, icmp or icmpv6")
      ->check(CLI::IsMember({"all", "tcp", "udp", "icmp", "icmpv6"}))
      ->capture_default_str();
  verb->add_option("--port", wanted->ports, "Of tcp and udp: 22, or 8000-8080 (default: all)");
  verb->add_option("--icmp-type", wanted->icmp_type, "Of icmp and icmpv6 (default: all)");
  verb->add_option("--cidr", wanted->cidr, "With these addresses, of IPv4 or IPv6");
  verb->add_option("--group", wanted->group, "Or with the members of this group")->excludes("--cidr");
}

}  // namespace

void add_security_group_commands(CLI::App& app, const Choose& choose) {
  CLI::App* noun = add_noun(app, "security-group", "Who may begin what with a cluster's members");
  (void)add_verb(*noun, choose, "list", "Show all groups", "security-group list", list);
  const auto name = std::make_shared<std::string>();
  CLI::App* verb = add_verb(*noun, choose, "show", "Show a group's rules", "security-group show web",
                            [name](Session& session) { return show(session, *name); });
  verb->add_option("name", *name, "The group")->required();
  verb = add_verb(*noun, choose, "create", "Make a group that lets nobody in and everything out",
                  "security-group create web", [name](Session& session) { return create(session, *name); });
  verb->add_option("name", *name, "Its name")->required();
  verb = add_verb(*noun, choose, "delete", "Delete a group that no cluster and no rule names",
                  "security-group delete web", [name](Session& session) { return erase(session, *name); });
  verb->add_option("name", *name, "The group")->required();
  add_change(*noun, choose, "authorize", "Add a rule; running instances have it within seconds",
             "security-group authorize web --protocol tcp --port 22 --cidr 0.0.0.0/0\n"
             "security-group authorize database --protocol tcp --port 5432 --group web");
  add_change(*noun, choose, "revoke", "Remove a rule; what has begun by it goes on",
             "security-group revoke web --protocol tcp --port 22 --cidr 0.0.0.0/0");
}

}  // namespace godwit::cli
