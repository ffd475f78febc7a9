// A network: one isolated L2 segment over several clouds, its members, and where each of them is now.
#pragma once

#include "wire/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::wire {

// Where frames for a member go: a host's switch. The higher version wins, whoever says it.
struct Location {
  std::string cloud;
  std::string host;         // "a1"; empty: not placed yet
  std::string underlay_ip;  // the switch's UDP address
  std::uint16_t underlay_port{0};
  std::uint64_t version{0};  // 1 at the first start, one more at each move
  std::string key{};         // 32 bytes in hex: the switch's public key (X25519)

  bool operator==(const Location&) const = default;
};
BOOST_DESCRIBE_STRUCT(Location, (), (cloud, host, underlay_ip, underlay_port, version, key))

struct Member {
  std::string instance;
  std::string name;  // its DNS label on the network
  std::string mac;
  std::string ip;
  std::vector<std::string> roles;
  Location location;

  bool operator==(const Member&) const = default;
};
BOOST_DESCRIBE_STRUCT(Member, (), (instance, name, mac, ip, roles, location))

struct Network {
  std::string id;  // "net-0123…"
  std::string tenant;
  std::string name;
  std::uint32_t vni{0};  // 24 bits, drawn by sky; unique among the networks of a host
  std::string cidr;      // "10.77.0.0/24"
  std::string gateway;   // the same on every host: its metadata, DHCP and DNS answer there
  std::string domain;    // "demo.internal"
  std::string key;       // 32 bytes in hex: authenticates the announcements between its switches. A secret.
  std::uint32_t mtu{1500};
  std::vector<Member> members;
};
BOOST_DESCRIBE_STRUCT(Network, (), (id, tenant, name, vni, cidr, gateway, domain, key, mtu, members))

// Errors: invalid_argument, naming the field.
[[nodiscard]] Result<> validate(const Network& network);

// For every member, the location of the higher version of the two; members that only one of them has are kept.
// `newer` is authoritative for everything else.
[[nodiscard]] Network merge_locations(Network newer, const Network& older);

}  // namespace godwit::wire
