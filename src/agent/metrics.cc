#include "agent/metrics.h"

#include "base/exposition.h"

#include <boost/describe.hpp>
#include <boost/mp11.hpp>
#include <map>

namespace godwit::agent {
namespace {

using Kind = Exposition::Kind;

template <class E>
std::string name_of(E value) {
  return boost::describe::enum_to_string(value, "unknown");
}

}  // namespace

std::string agent_metrics(const wire::HostReport& report) {
  Exposition out;
  std::map<std::string, unsigned> instances;
  unsigned troubled = 0;
  for (const auto& each : report.instances) {
    ++instances[name_of(each.state)];
    troubled += each.problem.empty() ? 0 : 1;
  }
  out.family("godwit_agent_instances", Kind::gauge, "Instances on this host, by state.");
  for (const auto& [state, count] : instances) out.sample(count, {{"state", state}});
  out.add("godwit_agent_instances_troubled", Kind::gauge, "Instances that have a problem.", troubled);
  out.add("godwit_agent_capacity_vcpus", Kind::gauge, "vCPUs that may be given to instances.", report.capacity.vcpus);
  out.add("godwit_agent_capacity_memory_bytes", Kind::gauge, "Memory that may be given to instances.",
          static_cast<double>(std::uint64_t{report.capacity.memory_mib} << 20U));

  std::map<std::pair<std::string, std::string>, unsigned> migrations;
  wire::Savings savings;
  for (const auto& each : report.migrations) {
    ++migrations[{name_of(each.role), name_of(each.phase)}];
    savings += each.cost.savings;
  }
  out.family("godwit_agent_migrations", Kind::gauge, "Migrations that the cloud still wants to hear of.");
  for (const auto& [what, count] : migrations) out.sample(count, {{"role", what.first}, {"phase", what.second}});
  out.family("godwit_agent_migration_bytes", Kind::gauge,
             "What QEMU put out in those migrations, and as what it crossed.");
  boost::mp11::mp_for_each<boost::describe::describe_members<wire::Savings, boost::describe::mod_public>>(
      [&](auto member) { out.sample(static_cast<double>(savings.*member.pointer), {{"as", member.name}}); });
  return out.text();
}

}  // namespace godwit::agent
