#include "lab/plan.h"

#include "lab/nat_rules.h"

#include <algorithm>
#include <iterator>

namespace godwit::lab {
namespace {

constexpr unsigned kMtu = 1500;
// Packets that may wait for the delay line to read them. It wakes every 0.1 ms, or late on a busy machine.
constexpr unsigned kTunQueuePackets = 4000;
constexpr std::uint32_t kControlAt = 10;       // 10.101.0.10; hosts follow
constexpr std::uint32_t kPublicNodesAt = 101;  // 203.0.113.101; routers are from .1

Ipv4Prefix at(Ipv4Prefix network, std::size_t number) {
  return {network.address + static_cast<std::uint32_t>(number), 32};
}

// What a node on a LAN is made of.
struct LanNode {
  std::string name;
  Ipv4Prefix address;
};

class Planner {
 public:
  explicit Planner(Config config) { plan_.config = std::move(config); }

  Plan make() {
    add_node("wan", "", Role::wan, {0, 32});
    for (std::size_t i = 0; i < plan_.config.clouds.size(); ++i) add_cloud(plan_.config.clouds[i], i);
    for (std::size_t i = 0; i < plan_.config.public_nodes.size(); ++i) add_public_node(plan_.config.public_nodes[i], i);
    add_namespaces();
    add_table();
    return std::move(plan_);
  }

 private:
  std::string netns_of(std::string_view node) const { return netns_prefix(plan_.config.name) + std::string(node); }

  void add_node(const std::string& name, const std::string& site, Role role, Ipv4Prefix address) {
    plan_.nodes.push_back({name, site, netns_of(name), role, address});
  }

  void run(const std::string& netns, std::vector<std::string> argv, std::string input = {}) {
    plan_.fill_namespaces.push_back({netns, std::move(argv), std::move(input)});
  }

  // The device that the delay line reads and writes; `prefixes` live behind it.
  std::string wan_device(const std::string& site, const std::string& netns, Ipv4Prefix address,
                         std::vector<Ipv4Prefix> prefixes) {
    plan_.wan.ports.push_back({site, netns, "wan0", std::move(prefixes)});
    return fmt::format(
        "tuntap add dev wan0 mode tun\n"
        "addr add {}/32 dev wan0\n"
        "link set wan0 mtu {} txqueuelen {} up\n"
        "route add default dev wan0\n",
        format_address(address.address), kMtu, kTunQueuePackets);
  }

  void limit_rate(const std::string& netns, const std::string& device, std::uint64_t rate_bps) {
    run(netns, {"tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", fmt::format("{}bit", rate_bps), "burst",
                "256kb", "latency", "50ms"});
  }

  void add_lan_node(const CloudConfig& cloud, const LanNode& node, const std::string& router, std::size_t port) {
    const std::string netns = netns_of(node.name);
    run(netns, {"ip", "-batch", "-"},
        fmt::format("link set lo up\n"
                    "addr add {}/{} dev eth0\n"
                    "link set eth0 up\n"
                    "route add default via {}\n",
                    format_address(node.address.address), cloud.lan.length, format_prefix(at(cloud.lan, 1))));
    if (cloud.lan_rate_bps == 0) return;
    limit_rate(netns, "eth0", cloud.lan_rate_bps);
    limit_rate(router, fmt::format("port{}", port), cloud.lan_rate_bps);
  }

  std::string publish_rules(const CloudConfig& cloud) const {
    std::string rules;
    for (const PublishedPort& each : cloud.publish) {
      const auto* node = find_node(plan_, each.node);
      rules += fmt::format("    iifname \"wan0\" tcp dport {} dnat to {}:{}\n", each.port, format_prefix(node->address),
                           each.port);
    }
    return rules;
  }

  void add_cloud(const CloudConfig& cloud, std::size_t index) {
    const std::string router = netns_of(cloud.name + "-router");
    const Ipv4Prefix public_address = at(plan_.config.public_network, index + 1);
    add_node(cloud.name + "-router", cloud.name, Role::router, public_address);
    std::vector<LanNode> lan{{cloud.control, at(cloud.lan, kControlAt)}};
    for (const auto& host : cloud.hosts) lan.push_back({host, at(cloud.lan, kControlAt + lan.size())});
    for (const LanNode& node : lan) {
      add_node(node.name, cloud.name, node.name == cloud.control ? Role::control : Role::host, node.address);
    }

    std::string batch = "link set lo up\nlink add lan0 type bridge stp_state 0 forward_delay 0\n";
    for (std::size_t i = 0; i < lan.size(); ++i) {
      batch += fmt::format(
          "link add port{0} mtu {1} type veth peer name eth0 mtu {1} netns {2}\n"
          "link set port{0} master lan0 up\n",
          i, kMtu, netns_of(lan[i].name));
    }
    batch +=
        fmt::format("addr add {}/{} dev lan0\nlink set lan0 up\n", format_prefix(at(cloud.lan, 1)), cloud.lan.length);
    std::vector<Ipv4Prefix> prefixes{public_address};
    if (cloud.nat == Nat::none) prefixes.push_back(cloud.lan);
    batch += wan_device(cloud.name, router, public_address, prefixes);
    run(router, {"ip", "-batch", "-"}, batch);
    // Bridged frames stay out of the router's own filters, where the kernel would pass them through.
    run(router, {"sysctl", "-qe", "-w", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=0"});
    if (cloud.nat != Nat::none) {
      run(router, {"nft", "-f", "-"}, nat_rules(cloud, public_address, publish_rules(cloud)));
    }
    for (std::size_t i = 0; i < lan.size(); ++i) add_lan_node(cloud, lan[i], router, i);
  }

  void add_public_node(const std::string& name, std::size_t index) {
    const Ipv4Prefix address = at(plan_.config.public_network, kPublicNodesAt + index);
    add_node(name, name, Role::public_node, address);
    run(netns_of(name), {"ip", "-batch", "-"},
        "link set lo up\n" + wan_device(name, netns_of(name), address, {address}));
  }

  void add_namespaces() {
    std::string batch;
    for (const Node& node : plan_.nodes) batch += fmt::format("netns add {}\n", node.netns);
    plan_.make_namespaces.push_back({"", {"ip", "-batch", "-"}, batch});
  }

  PathConfig path_between(const std::string& a, const std::string& b) const {
    PathConfig path = plan_.config.wan;
    for (const PathOverride& each : plan_.config.paths) {
      if ((each.a == a && each.b == b) || (each.a == b && each.b == a)) path = each.path;
    }
    return path;
  }

  void add_table() {
    plan_.wan.seed = plan_.config.seed;
    for (std::uint32_t from = 0; from < plan_.wan.ports.size(); ++from) {
      for (std::uint32_t to = 0; to < plan_.wan.ports.size(); ++to) {
        if (from == to) continue;
        const PathConfig path = path_between(plan_.wan.ports[from].site, plan_.wan.ports[to].site);
        plan_.wan.table.push_back(
            {.from = from,
             .to = to,
             .shape = {.rate_bps = path.rate_bps, .delay = path.round_trip / 2, .loss_ppm = path.loss_ppm}});
      }
    }
  }

  Plan plan_;
};

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::host: return "host";
    case Role::control: return "control";
    case Role::router: return "router";
    case Role::public_node: return "public";
    case Role::wan: return "wan";
  }
  return "?";
}

std::string netns_prefix(std::string_view lab) { return fmt::format("gw-{}-", lab); }

Plan make_plan(Config config) { return Planner(std::move(config)).make(); }

const Node* find_node(const Plan& plan, std::string_view name) {
  const auto found = std::ranges::find_if(plan.nodes, [name](const Node& node) { return node.name == name; });
  return found == plan.nodes.end() ? nullptr : &*found;
}

}  // namespace godwit::lab
