#include "cli/views.h"

#include "cli/savings.h"
#include "cli/table.h"
#include "cli/text.h"

#include <algorithm>
#include <set>

namespace godwit::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

std::string of(std::uint64_t part, std::uint64_t whole) { return fmt::format("{}/{}", part, whole); }

std::string field(std::string_view name, const std::string& value) {
  return pad_right(std::string(name) + ":", 14) + (value.empty() ? "-" : printable(value)) + "\n";
}

std::size_t ready_members(const wire::ClusterView& cluster) {
  return static_cast<std::size_t>(std::count_if(cluster.members.begin(), cluster.members.end(),
                                                [](const wire::ClusterMember& each) { return each.ready; }));
}

std::string clouds_of(const wire::ClusterView& cluster) {
  std::set<std::string> clouds;
  for (const auto& member : cluster.members) clouds.insert(member.cloud);
  return joined({clouds.begin(), clouds.end()});
}

std::string state_of(const wire::ClusterMember& member) {
  if (!member.migration.empty()) return "migrating";
  if (member.state == wire::InstanceState::running) return member.ready ? "ready" : "booting";
  return word_of(member.state);
}

std::string place(const std::string& cloud, const std::string& host) {
  return host.empty() ? cloud : cloud + "/" + host;
}

std::string prices_text(const wire::AccountView& account) {
  std::vector<std::string> prices;
  for (const auto& [type, price] : account.prices) prices.push_back(fmt::format("{} {:.4g}", type, price));
  return prices.empty() ? "" : joined(prices) + " " + account.currency + "/h";
}

std::string moved_text(const wire::MigrationReport& report) {
  return place(report.from_cloud, report.from_host) + " -> " + place(report.to_cloud, report.to_host);
}

}  // namespace

std::map<std::string, std::string> member_names(const wire::ClusterList& list) {
  std::map<std::string, std::string> names;
  for (const auto& cluster : list.clusters) {
    for (const auto& member : cluster.members) names[member.instance] = member.name;
  }
  return names;
}

std::string accounts_text(const wire::AccountList& list, bool verbose) {
  if (list.accounts.empty()) {
    return "No accounts. Add one with: godwit account add CLOUD --url URL --ca FILE --token-file FILE\n";
  }
  std::vector<Column> columns{{"CLOUD"}, {"URL"}, {"STATE"}, {"TENANT"}, {"INSTANCES", Align::right}};
  if (verbose) {
    columns.insert(columns.end(), {{"VCPUS", Align::right},
                                   {"MEMORY MIB", Align::right},
                                   {"IMAGES", Align::right},
                                   {"IMAGE MIB", Align::right},
                                   {"PRICES"}});
  }
  Table table(columns);
  std::string problems;
  for (const auto& each : list.accounts) {
    std::vector<std::string> cells{each.cloud, each.url, each.reachable ? "ok" : "unreachable", each.tenant};
    if (each.reachable) cells.push_back(of(each.used.instances, each.quota.instances));
    if (each.reachable && verbose) {
      cells.push_back(of(each.used.vcpus, each.quota.vcpus));
      cells.push_back(of(each.used.memory_mib, each.quota.memory_mib));
      cells.push_back(of(each.used.images, each.quota.images));
      cells.push_back(of(each.used.image_mib, each.quota.image_mib));
      cells.push_back(prices_text(each));
    }
    table.add(std::move(cells));
    if (!each.problem.empty()) problems += "\n" + printable(each.problem);
  }
  return table.text() + (problems.empty() ? "" : problems + "\n");
}

std::string clusters_text(const wire::ClusterList& list, WallTime now) {
  if (list.clusters.empty()) return "No clusters. Make one with: godwit cluster create NAME --size 4\n";
  Table table({{"NAME"}, {"STATE"}, {"READY", Align::right}, {"CLOUDS"}, {"NETWORK"}, {"AGE", Align::right}});
  for (const auto& each : list.clusters) {
    table.add({each.name, word_of(each.state), of(ready_members(each), each.members.size()), clouds_of(each), each.cidr,
               age_text(each.created_ms, now)});
  }
  return table.text();
}

std::string cluster_text(const wire::ClusterView& cluster, WallTime now) {
  std::string out = field("Cluster", cluster.name) + field("State", word_of(cluster.state));
  if (cluster.ready_after_s > 0) out += field("Ready after", duration_text(cluster.ready_after_s));
  out += field("Network", fmt::format("{} ({}, names end in .{})", cluster.network, cluster.cidr, cluster.domain));
  out += field("Age", age_text(cluster.created_ms, now)) + "\n";
  Table table({{"MEMBER"}, {"INSTANCE"}, {"STATE"}, {"WHERE"}, {"IP"}, {"ROLES"}});
  for (const auto& each : cluster.members) {
    table.add({each.name, each.instance, state_of(each), place(each.cloud, each.host), each.ip, joined(each.roles)});
  }
  out += table.text();
  if (cluster.problems.empty()) return out;
  out += "\nProblems:\n";
  for (const auto& problem : cluster.problems) out += "  " + printable(problem) + "\n";
  return out;
}

std::string instances_text(const wire::ClusterList& list, const std::string& cluster, const std::string& cloud) {
  Table table({{"INSTANCE"}, {"NAME"}, {"CLUSTER"}, {"STATE"}, {"WHERE"}, {"IP"}});
  for (const auto& each : list.clusters) {
    if (!cluster.empty() && each.name != cluster) continue;
    for (const auto& member : each.members) {
      if (!cloud.empty() && member.cloud != cloud) continue;
      table.add(
          {member.instance, member.name, each.name, state_of(member), place(member.cloud, member.host), member.ip});
    }
  }
  return table.empty() ? "No instances.\n" : table.text();
}

std::string instance_text(const wire::InstanceView& instance, WallTime now) {
  const auto& spec = instance.spec;
  std::string out = field("Instance", spec.id) + field("Name", spec.name) + field("Cluster", spec.cluster);
  out += field("State", word_of(instance.state) + (instance.ready ? ", ready" : ""));
  out += field("Where", place(instance.cloud, instance.host));
  out += field("Type",
               fmt::format("{} ({} vCPU, {} MiB, {} GiB disk)", spec.type, spec.vcpus, spec.memory_mib, spec.disk_gib));
  out += field("Image", spec.image) + field("Address", spec.interface.ip + " " + spec.interface.mac);
  out += field("Network", spec.interface.network) + field("Roles", joined(spec.roles));
  const auto queues = spec.queue_pairs == 1 ? std::string() : fmt::format(", {} network queues", spec.queue_pairs);
  out += field("Machine", fmt::format("{}, {}, {}{}", spec.machine_type, spec.cpu_model, spec.accelerator, queues));
  out += field("Location", fmt::format("version {}", instance.location_version));
  if (!instance.migration.empty()) out += field("Migration", instance.migration);
  if (!instance.moved_to.empty()) out += field("Moved to", instance.moved_to);
  if (!instance.problem.empty()) out += field("Problem", instance.problem);
  return out + field("Launched", age_text(instance.launched_ms, now) + " ago");
}

std::string hosts_text(const wire::CloudHostsList& list, WallTime now) {
  Table table({{"CLOUD"},
               {"HOST"},
               {"STATE"},
               {"VCPUS", Align::right},
               {"MEMORY MIB", Align::right},
               {"DISK GIB", Align::right},
               {"QEMU"},
               {"SEEN", Align::right}});
  std::string problems;
  for (const auto& cloud : list.clouds) {
    if (!cloud.problem.empty()) problems += "\n" + printable(cloud.problem);
    for (const auto& host : cloud.hosts) {
      table.add({cloud.cloud, host.name, host.alive ? "alive" : "silent", of(host.used.vcpus, host.capacity.vcpus),
                 of(host.used.memory_mib, host.capacity.memory_mib), of(host.used.disk_gib, host.capacity.disk_gib),
                 host.qemu_version + (host.accelerator.empty() ? "" : " " + host.accelerator),
                 age_text(host.last_seen_ms, now)});
    }
  }
  return (table.empty() ? "No hosts.\n" : table.text()) + (problems.empty() ? "" : problems + "\n");
}

std::string networks_text(const wire::NetworkList& list) {
  if (list.networks.empty()) return "No networks: each cluster has one of its own.\n";
  Table table({{"NETWORK"}, {"CLUSTER"}, {"CIDR"}, {"VNI", Align::right}, {"MEMBERS", Align::right}, {"DOMAIN"}});
  for (const auto& each : list.networks) {
    table.add(
        {each.id, each.name, each.cidr, std::to_string(each.vni), std::to_string(each.members.size()), each.domain});
  }
  return table.text();
}

std::string network_text(const wire::Network& network) {
  std::string out = field("Network", network.id) + field("Cluster", network.name) + field("CIDR", network.cidr);
  out +=
      field("Gateway", network.gateway) + field("Domain", network.domain) + field("VNI", std::to_string(network.vni));
  out += field("MTU", std::to_string(network.mtu));
  const auto& lan = network.uplink;
  out += (lan.host.empty() ? "" : field("LAN", "joined at " + place(lan.cloud, lan.host))) + "\n";
  Table table({{"MEMBER"}, {"IP"}, {"MAC"}, {"WHERE"}, {"UNDERLAY"}, {"VERSION", Align::right}});
  for (const auto& each : network.members) {
    const auto& at = each.location;
    table.add({each.name, each.ip, each.mac, place(at.cloud, at.host),
               at.underlay_ip.empty() ? "" : fmt::format("{}:{}", at.underlay_ip, at.underlay_port),
               std::to_string(at.version)});
  }
  return out + table.text();
}

std::string migrations_text(const wire::MigrationList& list, const std::map<std::string, std::string>& names,
                            WallTime now) {
  if (list.migrations.empty()) return "No migrations. Move an instance with: godwit instance migrate ID --to CLOUD\n";
  Table table({{"MIGRATION"},
               {"INSTANCE"},
               {"PHASE"},
               {"FROM -> TO"},
               {"TOOK", Align::right},
               {"DOWNTIME", Align::right},
               {"WAN", Align::right},
               {"LESS", Align::right},
               {"STARTED", Align::right}});
  for (const auto& each : list.migrations) {
    const auto name = names.find(each.instance);
    const auto crossing = crossing_of(each);
    const auto wan = crossing.wan.memory + crossing.wan.disk;
    table.add({each.id, name == names.end() ? each.instance : name->second, word_of(each.phase), moved_text(each),
               each.cost.total_s > 0 ? duration_text(each.cost.total_s) : "",
               each.cost.downtime_ms > 0 ? duration_text(each.cost.downtime_ms / 1e3) : "", wan ? bytes_text(wan) : "",
               ratio_text(crossing), age_text(each.started_ms, now)});
  }
  return table.text();
}

std::string migration_text(const wire::MigrationReport& report, const std::string& name) {
  std::string out = field("Migration", report.id);
  out += field("Instance", name.empty() ? report.instance : fmt::format("{} ({})", report.instance, name));
  out += field("Phase", word_of(report.phase)) + field("Path", moved_text(report));
  const auto& progress = report.progress;
  out += field("Memory",
               fmt::format("{} sent, {} of {} left, {}/s dirtied, round {}", bytes_text(progress.memory_sent_bytes),
                           bytes_text(progress.memory_remaining_bytes), bytes_text(progress.memory_total_bytes),
                           bytes_text(progress.dirty_bytes_per_s), progress.rounds));
  out += field("Disk", fmt::format("{} of {} sent", bytes_text(progress.disk_sent_bytes),
                                   bytes_text(progress.disk_total_bytes)));
  const auto& cost = report.cost;
  if (cost.total_s > 0) {
    out += field("Took", duration_text(cost.total_s)) + field("Downtime", duration_text(cost.downtime_ms / 1e3));
  }
  if (!cost.tried.empty()) out += field("Tried", joined(cost.tried));
  if (!report.error.empty()) out += field("Why", report.error);
  const auto crossed = crossing_table(crossing_of(report));
  return crossed.empty() ? out : out + "\n" + crossed;
}

}  // namespace godwit::cli
