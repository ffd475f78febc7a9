#include "cloud/metrics.h"

#include "base/exposition.h"

#include <boost/describe.hpp>
#include <map>

namespace godwit::cloud {
namespace {

using Kind = Exposition::Kind;

template <class Each>
void add_hosts(Exposition& out, const CloudStatus& status, const char* name, const char* help, Each value_of) {
  out.family(name, Kind::gauge, help);
  for (const auto& host : status.hosts) out.sample(static_cast<double>(value_of(host)), {{"host", host.name}});
}

void add_counts(Exposition& out, const char* name, const char* help, const char* label,
                const std::map<std::string, unsigned>& counts) {
  out.family(name, Kind::gauge, help);
  for (const auto& [value, count] : counts) out.sample(count, {{label, value}});
}

}  // namespace

std::string cloud_metrics(const CloudStatus& status) {
  Exposition out;
  add_hosts(out, status, "godwit_cloud_host_alive", "1: the host's agent was heard lately.",
            [](const wire::HostView& host) { return host.alive ? 1 : 0; });
  add_hosts(out, status, "godwit_cloud_host_vcpus", "vCPUs that the host gives to instances.",
            [](const wire::HostView& host) { return host.capacity.vcpus; });
  add_hosts(out, status, "godwit_cloud_host_used_vcpus", "vCPUs that its instances have.",
            [](const wire::HostView& host) { return host.used.vcpus; });
  add_hosts(out, status, "godwit_cloud_host_memory_bytes", "Memory that the host gives to instances.",
            [](const wire::HostView& host) { return std::uint64_t{host.capacity.memory_mib} << 20U; });
  add_hosts(out, status, "godwit_cloud_host_used_memory_bytes", "Memory that its instances have.",
            [](const wire::HostView& host) { return std::uint64_t{host.used.memory_mib} << 20U; });
  std::map<std::string, unsigned> instances;
  for (const auto& each : status.instances) ++instances[boost::describe::enum_to_string(each.state, "unknown")];
  add_counts(out, "godwit_cloud_instances", "Instances, by state.", "state", instances);
  std::map<std::string, unsigned> migrations;
  for (const auto& each : status.migrations) ++migrations[boost::describe::enum_to_string(each.phase, "unknown")];
  add_counts(out, "godwit_cloud_migrations", "Migrations under way, by phase.", "phase", migrations);
  out.add("godwit_cloud_tenants", Kind::gauge, "Tenants.", static_cast<double>(status.tenants.size()));
  return out.text();
}

}  // namespace godwit::cloud
