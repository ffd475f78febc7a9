#include "lab/report.h"

#include <algorithm>
#include <boost/json.hpp>

namespace godwit::lab {
namespace {
namespace json = boost::json;

std::string_view state_of(const LabStatus& status) {
  if (!status.complete) return "incomplete";
  return status.line_alive ? "up" : "broken";
}

bool everything(Ipv4Prefix prefix) { return prefix.length == 0; }

std::string end_of(const std::string& site, Ipv4Prefix prefix) {
  return everything(prefix) ? site : fmt::format("{} ({})", site, format_prefix(prefix));
}

std::string describe(const Fault& fault) {
  std::string text = fmt::format("{} - {}:", fault.a, fault.b);
  if (fault.cut) text += " cut";
  if (fault.rate_bps) text += " rate " + format_rate(*fault.rate_bps);
  if (fault.round_trip) text += " round trip " + format_span(*fault.round_trip);
  if (fault.loss_ppm) text += " loss " + format_loss(*fault.loss_ppm);
  return text;
}

json::value node_json(const Node& node) {
  return {{"name", node.name},
          {"role", to_string(node.role)},
          {"site", node.site},
          {"netns", node.netns},
          {"address", node.role == Role::wan ? "" : format_prefix(node.address)}};
}

json::value path_json(const PathStatus& path) {
  return {{"from", path.from},
          {"to", path.to},
          {"source", format_prefix(path.source)},
          {"destination", format_prefix(path.destination)},
          {"rate_bps", path.shape.rate_bps},
          {"delay_ms", to_ms(path.shape.delay)},
          {"loss_percent", static_cast<double>(path.shape.loss_ppm) / 1e4},
          {"cut", path.shape.cut},
          {"packets", path.counters.packets},
          {"bytes", path.counters.bytes},
          {"lost", path.counters.lost},
          {"overflowed", path.counters.overflowed}};
}

json::value process_json(const ProcessStatus& process) {
  return {{"node", process.record.node},    {"name", process.record.name},
          {"pid", process.record.id.pid},   {"alive", process.alive},
          {"log", process.record.log_path}, {"argv", json::value_from(process.record.argv)}};
}

json::value fault_json(const Fault& fault) {
  json::object object{{"a", fault.a}, {"b", fault.b}, {"cut", fault.cut}};
  if (fault.rate_bps) object["rate_bps"] = *fault.rate_bps;
  if (fault.round_trip) object["round_trip_ms"] = to_ms(*fault.round_trip);
  if (fault.loss_ppm) object["loss_percent"] = static_cast<double>(*fault.loss_ppm) / 1e4;
  return object;
}

template <class T, class F>
json::array array_of(const std::vector<T>& values, F convert) {
  json::array array;
  for (const T& value : values) array.push_back(convert(value));
  return array;
}

}  // namespace

std::string welcome(const LabStatus& status) {
  std::string text = fmt::format("Lab \"{}\" is up:\n", status.name);
  for (const CloudConfig& cloud : status.plan.config.clouds) {
    text += fmt::format("  {:<12} {}, {} on {}{}\n", cloud.name, fmt::join(cloud.hosts, " "), cloud.control,
                        format_prefix(cloud.lan), cloud.nat == Nat::none ? "" : ", behind a NAT");
  }
  for (const std::string& node : status.plan.config.public_nodes) {
    text += fmt::format("  {:<12} {}\n", node, format_prefix(find_node(status.plan, node)->address));
  }
  const auto& hosts = status.plan.config.clouds.front().hosts;
  const std::string lab = status.name;
  text += fmt::format(
      "Try: godwit lab exec --lab {0} {1} -- ip address\n     godwit lab status {0}\n     godwit lab down {0}\n", lab,
      hosts.front());
  return text;
}

std::string to_table(const LabStatus& status) {
  std::string text = fmt::format("Lab \"{}\": {}\n", status.name, state_of(status));
  if (!status.complete) text += fmt::format("  being made, or left half made: godwit lab down {}\n", status.name);
  text += fmt::format("  {:<20} {:<8} {:<14} {:<16} {}\n", "NODE", "ROLE", "SITE", "ADDRESS", "PROCESSES");
  for (const Node& node : status.plan.nodes) {
    std::string processes;
    for (const ProcessStatus& process : status.processes) {
      if (process.record.node != node.name) continue;
      processes += fmt::format("{}{}({})", processes.empty() ? "" : " ", process.record.name,
                               process.alive ? std::to_string(process.record.id.pid) : "gone");
    }
    text += fmt::format("  {:<20} {:<8} {:<14} {:<16} {}\n", node.name, to_string(node.role), node.site,
                        node.role == Role::wan ? "" : format_prefix(node.address), processes);
  }
  text += fmt::format("  {:<28} {:<28} {:>9} {:>8} {:>7} {:>12} {:>8}\n", "FROM", "TO", "RATE", "ONE WAY", "LOSS",
                      "BYTES", "DROPPED");
  for (const PathStatus& path : status.paths) {
    text += fmt::format("  {:<28} {:<28} {:>9} {:>8} {:>7} {:>12} {:>8}\n", end_of(path.from, path.source),
                        end_of(path.to, path.destination), path.shape.cut ? "cut" : format_rate(path.shape.rate_bps),
                        format_span(path.shape.delay), format_loss(path.shape.loss_ppm), path.counters.bytes,
                        path.counters.lost + path.counters.overflowed);
  }
  for (const Fault& fault : status.faults) text += "  fault: " + describe(fault) + "\n";
  return text;
}

std::string to_json(const std::vector<LabStatus>& labs) {
  const auto lab_json = [](const LabStatus& status) {
    return json::value{{"name", status.name},
                       {"state", state_of(status)},
                       {"nodes", array_of(status.plan.nodes, node_json)},
                       {"paths", array_of(status.paths, path_json)},
                       {"faults", array_of(status.faults, fault_json)},
                       {"processes", array_of(status.processes, process_json)}};
  };
  return json::serialize(json::object{{"labs", array_of(labs, lab_json)}});
}

}  // namespace godwit::lab
