#include "apps/cloud_status.h"

#include <algorithm>

namespace godwit::apps {
namespace {

using Rows = std::vector<std::vector<std::string>>;

// Columns as wide as their widest cell; the first row is the heading.
std::string table(const Rows& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out + "\n";
}

std::string share(std::uint64_t used, std::uint64_t whole) { return fmt::format("{}/{}", used, whole); }

template <class E>
std::string word(E value) {
  return boost::describe::enum_to_string(value, "?");
}

}  // namespace

std::string to_text(const cloud::CloudStatus& status) {
  std::string out = fmt::format("cloud {} at {}\n\n", status.name, status.api_url);
  Rows hosts{{"HOST", "ALIVE", "VCPUS", "MEMORY MIB", "DISK GIB", "ACCELERATOR", "QEMU", "PROBLEM"}};
  for (const auto& each : status.hosts) {
    hosts.push_back({each.name, each.alive ? "yes" : "no", share(each.used.vcpus, each.capacity.vcpus),
                     share(each.used.memory_mib, each.capacity.memory_mib),
                     share(each.used.disk_gib, each.capacity.disk_gib), each.accelerator, each.qemu_version,
                     each.problem});
  }
  Rows tenants{{"TENANT", "INSTANCES", "VCPUS", "MEMORY MIB", "IMAGES", "IMAGE MIB", "OPERATOR"}};
  for (const auto& each : status.tenants) {
    tenants.push_back({each.name, share(each.used.instances, each.quota.instances),
                       share(each.used.vcpus, each.quota.vcpus), share(each.used.memory_mib, each.quota.memory_mib),
                       share(each.used.images, each.quota.images), share(each.used.image_mib, each.quota.image_mib),
                       each.is_operator ? "yes" : "no"});
  }
  Rows images{{"IMAGE", "SHA256", "PATH"}};
  for (const auto& each : status.images) images.push_back({each.name, each.sha256.substr(0, 12), each.path});
  Rows instances{{"INSTANCE", "TENANT", "TYPE", "HOST", "STATE", "PROBLEM"}};
  for (const auto& each : status.instances) {
    const auto state = each.moved_to.empty() ? word(each.state) : "moved to " + each.moved_to;
    instances.push_back({each.id, each.tenant, each.type, each.host, state, each.problem});
  }
  Rows migrations{{"MIGRATION", "INSTANCE", "FROM", "TO", "PHASE", "ERROR"}};
  for (const auto& each : status.migrations) {
    migrations.push_back({each.id, each.instance, each.from_cloud + "/" + each.from_host,
                          each.to_cloud + "/" + each.to_host, word(each.phase), each.error});
  }
  for (const auto& rows : {hosts, tenants, images, instances, migrations}) {
    if (rows.size() > 1) out += table(rows);
  }
  return out;
}

}  // namespace godwit::apps
