// lab/config.h: what lab.toml says. Every key and its default: docs/ops/lab.md.
#pragma once

#include "base/result.h"
#include "lab/quantity.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::lab {

// Between two sites, each way the same.
struct PathConfig {
  std::uint64_t rate_bps{100'000'000};
  Nanos round_trip{Millis{40}};
  std::uint32_t loss_ppm{0};
};

enum class Nat : std::uint8_t {
  none = 1,    // private addresses are routed between clouds
  masquerade,  // Linux's own: keeps ports where it can, lets only the contacted peer answer
  symmetric,   // another port for every peer: what hole punching can't pass
  kind,        // as NatKind says
};

// What a UDP mapping is for, and who may use it from outside: RFC 4787's three kinds of each.
enum class NatScope : std::uint8_t { endpoint = 1, address, address_and_port };

struct NatKind {
  NatScope mapping{NatScope::endpoint};
  NatScope filtering{NatScope::address_and_port};
  Nanos timeout{Seconds{120}};  // of silence outwards
  bool udp{true};               // false: it doesn't pass at all
};

// A TCP port of the router's public address that leads to a node behind the NAT.
struct PublishedPort {
  std::uint16_t port{0};
  std::string node;
};

struct CloudConfig {
  std::string name;
  Ipv4Prefix lan;
  Nat nat{Nat::kind};   // as most hosts have one: NatKind's defaults
  NatKind nat_kind;     // where nat is `kind`
  std::string control;  // the node for `godwit cloud`
  std::vector<std::string> hosts;
  std::uint64_t lan_rate_bps{0};  // of each node's link, each way; 0: no limit
  std::vector<PublishedPort> publish;
};

struct PathOverride {
  std::string a;
  std::string b;
  PathConfig path;
};

struct Config {
  std::string name;
  PathConfig wan;
  std::uint64_t seed{1};  // of the losses
  std::vector<CloudConfig> clouds;
  Ipv4Prefix public_network;  // the routers and the public nodes have an address of it
  std::vector<std::string> public_nodes;
  std::vector<PathOverride> paths;
  std::vector<std::string> images;    // directories, as images/build-* fill them: each cloud offers them
  std::uint32_t image_send_kib_s{0};  // as each process of Godwit is told that gives of images; 0: nothing
};

constexpr std::uint16_t kApiPort = 7443;  // of `godwit cloud`: published, where nothing else is said
constexpr std::size_t kMostConfigBytes = 64UL * 1024;
constexpr std::size_t kMostSites = 16;          // clouds and public nodes
constexpr std::size_t kMostHostsOfACloud = 64;  // so that addresses fit a /24

// The lab that `godwit lab up` makes when no file is given.
extern const std::string_view kDefaultLab;

// True for [a-z][a-z0-9]{0,14}: without hyphens, so that no lab's namespaces have another's prefix.
[[nodiscard]] bool is_lab_name(std::string_view text);

// `source` names the file in messages. Everything is checked here: a Config makes a valid plan.
// Errors: invalid_argument, with source and line.
[[nodiscard]] Result<Config> parse_config(std::string_view toml, std::string_view source);

}  // namespace godwit::lab
