#include "lab/config.h"

#include "base/id.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <sstream>
#include <toml.hpp>

namespace godwit::lab {

const std::string_view kDefaultLab = R"(# Two clouds of two hosts each, and a user elsewhere on the Internet.
[wan]
rate = "100mbit"
round_trip = "40ms"

[[cloud]]
name = "cloud-a"
control = "a0"
hosts = ["a1", "a2"]

[[cloud]]
name = "cloud-b"
control = "b0"
hosts = ["b1", "b2"]

[public]
nodes = ["user"]
)";

bool is_lab_name(std::string_view text) {
  return !text.empty() && text.size() <= 15 && is_label(text) && text.find('-') == std::string_view::npos &&
         text.front() >= 'a';
}

namespace {

constexpr std::size_t kMostNameBytes = 24;
constexpr int kMostDepth = 16;  // toml11 parses nested arrays and tables by recursion
constexpr std::uint8_t kLongestLan = 24;
constexpr std::int64_t kLongestNatTimeout_s = 86'400;

bool too_deep(std::string_view text) {
  int depth = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > kMostDepth) return true;
  }
  return false;
}

// Thrown inside this file only, where toml11 throws its own: parse_config() turns both into an Error.
struct Wrong {
  std::size_t line;
  std::string message;
};

[[noreturn]] void wrong(const toml::value& at, std::string message) {
  throw Wrong{at.location().line(), std::move(message)};
}

template <class T>
T checked(const toml::value& at, std::string_view key, Result<T> value) {
  if (!value) wrong(at, fmt::format("{}: {}", key, value.error().message));
  return *std::move(value);
}

void only_keys(const toml::value& table, std::string_view what, std::initializer_list<std::string_view> allowed) {
  if (!table.is_table()) wrong(table, fmt::format("{} must be a table", what));
  for (const auto& [key, value] : table.as_table()) {
    if (std::ranges::find(allowed, key) != allowed.end()) continue;
    wrong(value, fmt::format(R"({} has no key "{}": it has {})", what, key, fmt::join(allowed, ", ")));
  }
}

const toml::value* find(const toml::value& table, const std::string& key) {
  const auto found = table.as_table().find(key);
  return found == table.as_table().end() ? nullptr : &found->second;
}

std::string text(const toml::value& value, std::string_view key) {
  if (!value.is_string()) wrong(value, fmt::format("{}: must be a text in quotes", key));
  return value.as_string().str;
}

std::vector<toml::value> list(const toml::value& table, const std::string& key) {
  const toml::value* value = find(table, key);
  if (!value) return {};
  if (!value->is_array()) wrong(*value, fmt::format("{}: must be a list", key));
  return value->as_array();
}

void read_path(const toml::value& table, PathConfig& path) {
  if (const auto* value = find(table, "rate"))
    path.rate_bps = checked(*value, "rate", parse_rate(text(*value, "rate")));
  if (const auto* value = find(table, "round_trip")) {
    path.round_trip = checked(*value, "round_trip", parse_span(text(*value, "round_trip")));
  }
  if (const auto* value = find(table, "loss"))
    path.loss_ppm = checked(*value, "loss", parse_loss(text(*value, "loss")));
}

NatScope read_scope(const toml::value& value, std::string_view key) {
  const auto word = text(value, key);
  if (word == "endpoint") return NatScope::endpoint;
  if (word == "address") return NatScope::address;
  if (word == "address-port") return NatScope::address_and_port;
  wrong(value, fmt::format(R"({}: must be "endpoint", "address" or "address-port")", key));
}

NatKind read_nat_kind(const toml::value& table) {
  NatKind kind;
  only_keys(table, "nat", {"mapping", "filtering", "timeout_s", "udp"});
  if (const auto* mapping = find(table, "mapping")) kind.mapping = read_scope(*mapping, "mapping");
  if (const auto* filtering = find(table, "filtering")) kind.filtering = read_scope(*filtering, "filtering");
  if (const auto* timeout = find(table, "timeout_s")) {
    const bool fits =
        timeout->is_integer() && timeout->as_integer() >= 1 && timeout->as_integer() <= kLongestNatTimeout_s;
    if (!fits) wrong(*timeout, fmt::format("timeout_s: must be 1 to {}", kLongestNatTimeout_s));
    kind.timeout = Seconds{timeout->as_integer()};
  }
  if (const auto* udp = find(table, "udp")) {
    if (!udp->is_boolean()) wrong(*udp, "udp: must be true or false");
    kind.udp = udp->as_boolean();
  }
  return kind;
}

void read_nat(const toml::value& value, CloudConfig& cloud) {
  if (value.is_boolean()) {
    cloud.nat = value.as_boolean() ? Nat::masquerade : Nat::none;
  } else if (value.is_string() && value.as_string().str == "symmetric") {
    cloud.nat = Nat::symmetric;
  } else if (value.is_table()) {
    cloud.nat = Nat::kind;
    cloud.nat_kind = read_nat_kind(value);
  } else {
    wrong(value, R"(nat: must be true, false, "symmetric" or {mapping = …, filtering = …, timeout_s = …, udp = …})");
  }
}

// Reads the file from the top; names and networks that were taken are refused where they come again.
class Reader {
 public:
  Config read(const toml::value& root) {
    only_keys(root, "lab.toml", {"name", "wan", "cloud", "public", "path"});
    if (const auto* name = find(root, "name")) read_name(*name);
    if (const auto* wan = find(root, "wan")) read_wan(*wan);
    config_.public_network = parse_prefix("203.0.113.0/24").value();  // TEST-NET-3 (RFC 5737)
    if (const auto* segment = find(root, "public")) read_public(*segment);
    networks_.push_back(config_.public_network);
    for (const auto& cloud : list(root, "cloud")) read_cloud(cloud);
    if (config_.clouds.empty()) wrong(root, "a lab has at least one [[cloud]]");
    if (config_.clouds.size() + config_.public_nodes.size() > kMostSites) {
      wrong(root, fmt::format("a lab has at most {} clouds and public nodes", kMostSites));
    }
    for (const auto& path : list(root, "path")) read_override(path);
    return std::move(config_);
  }

 private:
  std::string claim(const toml::value& value, std::string_view key) { return claim(value, key, text(value, key)); }

  // `name`, where it may be one and is new; `value` is where the file says so.
  std::string claim(const toml::value& value, std::string_view key, std::string name) {
    if (!is_label(name) || name.size() > kMostNameBytes) {
      wrong(value, fmt::format(R"({}: "{}" is no name: lower-case letters, digits and hyphens, at most {})", key, name,
                               kMostNameBytes));
    }
    if (name == "wan" || name.ends_with("-router"))
      wrong(value, fmt::format(R"({}: "{}" is the lab's own)", key, name));
    if (!names_.insert(name).second) wrong(value, fmt::format(R"({}: "{}" is taken already)", key, name));
    return name;
  }

  void read_name(const toml::value& value) {
    config_.name = text(value, "name");
    if (!is_lab_name(config_.name)) {
      wrong(value,
            fmt::format(R"(name: "{}" is no name of a lab: a lower-case letter, then up to 14 letters and digits)",
                        config_.name));
    }
  }

  void read_wan(const toml::value& table) {
    only_keys(table, "[wan]", {"rate", "round_trip", "loss", "seed"});
    read_path(table, config_.wan);
    const auto* seed = find(table, "seed");
    if (!seed) return;
    if (!seed->is_integer() || seed->as_integer() < 0) wrong(*seed, "seed: must be a number from 0");
    config_.seed = static_cast<std::uint64_t>(seed->as_integer());
  }

  void read_public(const toml::value& table) {
    only_keys(table, "[public]", {"network", "nodes"});
    if (const auto* network = find(table, "network")) {
      config_.public_network = checked(*network, "network", parse_prefix(text(*network, "network")));
      if (config_.public_network.length > kLongestLan) wrong(*network, "network: must be a /24 or larger");
    }
    for (const auto& node : list(table, "nodes")) config_.public_nodes.push_back(claim(node, "nodes"));
  }

  void read_lan(const toml::value& table, CloudConfig& cloud) {
    const auto second = static_cast<std::uint32_t>(101 + config_.clouds.size());
    cloud.lan = {(10U << 24U) | (second << 16U), 24};
    const auto* lan = find(table, "lan");
    if (lan) cloud.lan = checked(*lan, "lan", parse_prefix(text(*lan, "lan")));
    const toml::value& at = lan ? *lan : table;
    if (cloud.lan.length > kLongestLan || cloud.lan.length < 8) wrong(at, "lan: must be a network from /8 to /24");
    for (const Ipv4Prefix& other : networks_) {
      if (cloud.lan.overlaps(other)) {
        wrong(at, fmt::format("lan: {} overlaps {}", format_prefix(cloud.lan), format_prefix(other)));
      }
    }
    networks_.push_back(cloud.lan);
  }

  void read_publish(const toml::value& table, CloudConfig& cloud) {
    if (!find(table, "publish") && cloud.nat != Nat::none) cloud.publish.push_back({kApiPort, cloud.control});
    for (const auto& each : list(table, "publish")) {
      only_keys(each, "publish", {"port", "node"});
      const auto* port = find(each, "port");
      const auto* node = find(each, "node");
      if (!port || !node || !port->is_integer() || port->as_integer() < 1 || port->as_integer() > 65535) {
        wrong(each, R"(publish: must be {port = 7443, node = "a0"})");
      }
      const std::string name = text(*node, "node");
      if (name != cloud.control && std::ranges::find(cloud.hosts, name) == cloud.hosts.end()) {
        wrong(*node, fmt::format(R"(publish: {} has no node "{}")", cloud.name, name));
      }
      cloud.publish.push_back({static_cast<std::uint16_t>(port->as_integer()), name});
    }
    if (!cloud.publish.empty() && cloud.nat == Nat::none) {
      wrong(table, "publish: without nat every node can be reached already");
    }
  }

  void read_cloud(const toml::value& table) {
    only_keys(table, "[[cloud]]", {"name", "lan", "nat", "control", "hosts", "lan_rate", "publish"});
    CloudConfig cloud;
    const auto* name = find(table, "name");
    if (!name) wrong(table, "a [[cloud]] needs a name");
    cloud.name = claim(*name, "name");
    read_lan(table, cloud);
    if (const auto* nat = find(table, "nat")) read_nat(*nat, cloud);
    const auto* control = find(table, "control");
    cloud.control = control ? claim(*control, "control") : claim(*name, "control", cloud.name + "-control");
    for (const auto& host : list(table, "hosts")) cloud.hosts.push_back(claim(host, "hosts"));
    if (cloud.hosts.empty() || cloud.hosts.size() > kMostHostsOfACloud) {
      wrong(table, fmt::format("hosts: {} must have 1 to {}", cloud.name, kMostHostsOfACloud));
    }
    if (const auto* rate = find(table, "lan_rate")) {
      cloud.lan_rate_bps = checked(*rate, "lan_rate", parse_rate(text(*rate, "lan_rate")));
    }
    read_publish(table, cloud);
    config_.clouds.push_back(std::move(cloud));
  }

  void read_override(const toml::value& table) {
    only_keys(table, "[[path]]", {"between", "rate", "round_trip", "loss"});
    const auto between = list(table, "between");
    if (between.size() != 2) wrong(table, R"(path: needs between = ["cloud-a", "cloud-b"])");
    PathOverride path{text(between[0], "between"), text(between[1], "between"), config_.wan};
    for (const std::string& end : {path.a, path.b}) {
      const bool is_cloud =
          std::ranges::any_of(config_.clouds, [&end](const auto& cloud) { return cloud.name == end; });
      if (is_cloud || std::ranges::find(config_.public_nodes, end) != config_.public_nodes.end()) continue;
      wrong(between[0], fmt::format(R"(between: there is no cloud or public node "{}")", end));
    }
    if (path.a == path.b) wrong(between[0], "between: a path has two ends");
    read_path(table, path.path);
    config_.paths.push_back(std::move(path));
  }

  Config config_;
  std::set<std::string> names_;
  std::vector<Ipv4Prefix> networks_;
};

}  // namespace

Result<Config> parse_config(std::string_view toml, std::string_view source) {
  if (toml.size() > kMostConfigBytes) {
    return fail(Errc::invalid_argument, "{}: larger than {} bytes", source, kMostConfigBytes);
  }
  if (too_deep(toml)) return fail(Errc::invalid_argument, "{}: nested deeper than {}", source, kMostDepth);
  try {
    std::istringstream stream{std::string(toml)};
    return Reader().read(toml::parse(stream, std::string(source)));
  } catch (const Wrong& error) {
    return fail(Errc::invalid_argument, "{}:{}: {}", source, error.line, error.message);
  } catch (const toml::exception& error) {
    return fail(Errc::invalid_argument, "{}:{}: {}", source, error.location().line(), error.what());
  } catch (const std::exception& error) {
    return fail(Errc::invalid_argument, "{}: {}", source, error.what());
  }
}

}  // namespace godwit::lab
