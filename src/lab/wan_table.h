// lab/wan_table.h: what the emulated WAN joins and how: values, and their JSON between `godwit lab` and its delay line.
#pragma once

#include "base/result.h"
#include "lab/link.h"
#include "lab/quantity.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::lab {

// A site: a TUN device in a namespace, and the addresses that live behind it. Packets from others are dropped (BCP 38).
struct WanPort {
  std::string site;  // a cloud's or a public node's name
  std::string netns;
  std::string device;
  std::vector<Ipv4Prefix> prefixes;

  bool operator==(const WanPort&) const = default;
};

// One direction between two sites, or between some addresses of them.
struct WanRow {
  std::uint32_t from{0};  // indexes of ports
  std::uint32_t to{0};
  Ipv4Prefix source{0, 0};
  Ipv4Prefix destination{0, 0};
  LinkShape shape;

  [[nodiscard]] bool same_way(const WanRow& other) const {
    return from == other.from && to == other.to && source == other.source && destination == other.destination;
  }
  bool operator==(const WanRow&) const = default;
};

// Of several rows that match a packet, the first holds.
using WanTable = std::vector<WanRow>;

struct WanSetup {
  std::vector<WanPort> ports;
  std::uint64_t seed{1};
  WanTable table;

  bool operator==(const WanSetup&) const = default;
};

struct WanRowCounters {
  std::uint32_t from{0};
  std::uint32_t to{0};
  LinkCounters counters;
};

struct WanCounters {
  std::uint64_t malformed{0};   // no IPv4
  std::uint64_t foreign{0};     // a source address that is not its site's
  std::uint64_t unroutable{0};  // a destination that no other site has
  std::vector<WanRowCounters> rows;
};

constexpr std::size_t kMostWanRows = 512;
constexpr std::size_t kMostWanJsonBytes = 192UL * 1024;  // fits one datagram of a SOCK_SEQPACKET socket

[[nodiscard]] std::string to_json(const WanSetup& setup);
[[nodiscard]] std::string to_json(const WanTable& table);
[[nodiscard]] std::string to_json(const WanCounters& counters);
// Errors: protocol.
[[nodiscard]] Result<WanSetup> parse_wan_setup(std::string_view json);
// Indexes of ports must be below `ports`.
[[nodiscard]] Result<WanTable> parse_wan_table(std::string_view json, std::size_t ports);
[[nodiscard]] Result<WanCounters> parse_wan_counters(std::string_view json);

}  // namespace godwit::lab
