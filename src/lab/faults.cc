#include "lab/faults.h"

#include "base/assert.h"

#include <algorithm>
#include <map>

namespace godwit::lab {
namespace {

enum class Kind : std::uint8_t { wan = 1, site, host };

// A place as the network sees it.
struct Place {
  Kind kind{Kind::wan};
  std::uint32_t port{0};              // of its site on the WAN; not for wan
  Ipv4Prefix address{};               // of a host
  const CloudConfig* cloud{nullptr};  // of a host or a cloud

  [[nodiscard]] bool translated() const { return cloud && cloud->nat != Nat::none; }
};

Result<Place> find_place(const Plan& plan, const std::string& name) {
  if (name == "wan") return Place{};
  Place place{.kind = Kind::site};
  std::string site = name;
  if (const Node* node = find_node(plan, name)) {
    if (node->role == Role::router) return fail(Errc::not_found, R"("{}" is a router: name its cloud)", name);
    if (node->role != Role::public_node) {
      place.kind = Kind::host;
      place.address = node->address;
    }
    site = node->site;
  }
  const auto port = std::ranges::find_if(plan.wan.ports, [&site](const auto& each) { return each.site == site; });
  if (port == plan.wan.ports.end()) {
    std::vector<std::string> known{"wan"};
    for (const WanPort& each : plan.wan.ports) known.push_back(each.site);
    for (const Node& each : plan.nodes) {
      if (each.role == Role::host || each.role == Role::control) known.push_back(each.name);
    }
    return fail(Errc::not_found, R"(lab "{}" has no place "{}": it has {})", plan.config.name, name,
                fmt::join(known, ", "));
  }
  place.port = static_cast<std::uint32_t>(port - plan.wan.ports.begin());
  for (const CloudConfig& cloud : plan.config.clouds) {
    if (cloud.name == site) place.cloud = &cloud;
  }
  return place;
}

bool shapes(const Fault& fault) { return fault.rate_bps || fault.round_trip || fault.loss_ppm; }

LinkShape changed(LinkShape shape, const Fault& fault) {
  if (fault.rate_bps) shape.rate_bps = *fault.rate_bps;
  if (fault.round_trip) shape.delay = *fault.round_trip / 2;
  if (fault.loss_ppm) shape.loss_ppm = *fault.loss_ppm;
  return shape;
}

// The two ends, of which a host, if there is one, is the first, and "wan" the last.
std::pair<Place, Place> ordered(const Plan& plan, const Fault& fault) {
  auto first = find_place(plan, fault.a);
  auto second = find_place(plan, fault.b);
  GODWIT_ASSERT(first && second);
  if (first->kind < second->kind) std::swap(*first, *second);
  return {*first, *second};
}

bool joins(const WanRow& row, const Place& site, const Place& other) {
  const auto one_way = [&other](std::uint32_t near, std::uint32_t far, const Place& here) {
    return near == here.port && (other.kind == Kind::wan || far == other.port);
  };
  return one_way(row.from, row.to, site) || one_way(row.to, row.from, site);
}

// What of `place` packets that pass the WAN name as their source or destination.
Ipv4Prefix seen_on_wan(const Place& place) { return place.kind == Kind::host ? place.address : Ipv4Prefix{0, 0}; }

// Rows for the addresses of a host, each with the shape that its site's row has, changed. They go before the sites'
// rows.
WanTable host_rows(const WanTable& sites, const Fault& fault, const Place& host, const Place& other) {
  WanTable rows;
  for (const WanRow& row : sites) {
    if (!joins(row, host, other)) continue;
    WanRow changed_row = row;
    const bool outward = row.from == host.port;
    (outward ? changed_row.source : changed_row.destination) = seen_on_wan(host);
    (outward ? changed_row.destination : changed_row.source) = seen_on_wan(other);
    changed_row.shape = changed(row.shape, fault);
    rows.push_back(changed_row);
  }
  return rows;
}

// "ip daddr" and "ip saddr" matches for everything that `other` is, seen from `host`'s LAN.
std::vector<std::string> addresses_of(const Plan& plan, const Place& host, const Place& other) {
  if (other.kind == Kind::wan) return {fmt::format("!= {}", format_prefix(host.cloud->lan))};
  if (other.kind == Kind::host) return {format_prefix(other.address)};
  std::vector<std::string> addresses;
  for (const Ipv4Prefix& prefix : plan.wan.ports[other.port].prefixes) addresses.push_back(format_prefix(prefix));
  if (other.port == host.port && host.translated()) addresses.push_back(format_prefix(host.cloud->lan));
  return addresses;
}

// Frames from the host are dropped as they come into its LAN's bridge, frames to it as they leave: in silence, as a
// broken cable would (a filter at the sender would give it an error).
std::string cut_rules(const Plan& plan, const Place& host, const Place& other) {
  std::string rules;
  const std::string self = format_prefix(host.address);
  for (const std::string& address : addresses_of(plan, host, other)) {
    rules += fmt::format("    ip saddr {0} ip daddr {1} drop\n    ip daddr {0} ip saddr {1} drop\n", self, address);
  }
  return rules;
}

Command bridge_filter(const Plan& plan, const CloudConfig& cloud, const std::string& rules) {
  // Naming a table makes it, so that deleting it never fails; all of it is one transaction.
  std::string text = "table bridge faults\ndelete table bridge faults\n";
  if (!rules.empty()) {
    text += fmt::format(
        "table bridge faults {{\n"
        "  chain prerouting {{\n    type filter hook prerouting priority 0;\n{0}  }}\n"
        "  chain postrouting {{\n    type filter hook postrouting priority 0;\n{0}  }}\n"
        "}}\n",
        rules);
  }
  return {find_node(plan, cloud.name + "-router")->netns, {"nft", "-f", "-"}, text};
}

Result<> check_shaping(const Fault& fault, const Place& host, const Place& other) {
  if (other.kind != Kind::wan && other.port == host.port) {
    return fail(Errc::unsupported,
                "{} and {} share a LAN, which has no rate, delay or loss to change: cut and heal work", fault.a,
                fault.b);
  }
  if (host.translated()) {
    return fail(Errc::unsupported, "{} and {}: the WAN can't tell hosts behind {}'s NAT apart: name the cloud, or cut",
                fault.a, fault.b, host.cloud->name);
  }
  return {};
}

}  // namespace

Result<> check_fault(const Plan& plan, const Fault& fault) {
  for (const std::string& name : {fault.a, fault.b}) {
    if (const auto place = find_place(plan, name); !place) return pass(place);
  }
  if (fault.a == fault.b) return fail(Errc::invalid_argument, R"("{}" twice: name two places)", fault.a);
  const auto [first, second] = ordered(plan, fault);
  if (first.kind != Kind::host) return {};
  if (second.kind == Kind::host && second.port != first.port && second.translated()) {
    return fail(Errc::unsupported, "{} and {}: hosts behind {}'s NAT look alike from outside: name the cloud", fault.a,
                fault.b, second.cloud->name);
  }
  if (shapes(fault)) return check_shaping(fault, first, second);
  return {};
}

Effects effects_of(const Plan& plan, const std::vector<Fault>& faults) {
  Effects effects{.table = plan.wan.table, .commands = {}};
  const auto for_each = [&](Kind nearer, Kind farther, const auto& apply) {
    for (const Fault& fault : faults) {
      const auto [first, second] = ordered(plan, fault);
      if (first.kind == nearer && second.kind == farther) apply(fault, first, second);
    }
  };
  // From the general to the particular: the later holds.
  const auto site_fault = [&effects](const Fault& fault, const Place& site, const Place& other) {
    for (WanRow& row : effects.table) {
      if (!joins(row, site, other)) continue;
      row.shape = changed(row.shape, fault);
      row.shape.cut = row.shape.cut || fault.cut;
    }
  };
  for_each(Kind::site, Kind::wan, site_fault);
  for_each(Kind::site, Kind::site, site_fault);

  const WanTable sites = effects.table;
  std::map<std::string, std::string> rules;  // by cloud
  const auto host_fault = [&](const Fault& fault, const Place& host, const Place& other) {
    if (fault.cut) rules[host.cloud->name] += cut_rules(plan, host, other);
    if (!shapes(fault)) return;
    const WanTable rows = host_rows(sites, fault, host, other);
    effects.table.insert(effects.table.begin(), rows.begin(), rows.end());
  };
  for_each(Kind::host, Kind::wan, host_fault);
  for_each(Kind::host, Kind::site, host_fault);
  for_each(Kind::host, Kind::host, host_fault);
  for (const CloudConfig& cloud : plan.config.clouds) {
    effects.commands.push_back(bridge_filter(plan, cloud, rules[cloud.name]));
  }
  return effects;
}

}  // namespace godwit::lab
