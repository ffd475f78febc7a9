// A network: one isolated L2 segment over several clouds, its members, and where each of them is now.
#pragma once

#include "wire/security_group.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::wire {

// Where frames for a member go: a host's switch. The higher version wins, where it is proven
// (docs/decisions/location-records.md).
struct Location {
  std::string cloud;
  std::string host;         // "a1"; empty: not placed yet
  std::string underlay_ip;  // the switch's UDP address
  std::uint16_t underlay_port{0};
  std::uint64_t version{0};  // 1 at the first start, one more at each move
  // The host's record, signed by its cloud (docs/formats/host-record.md), as base64url: with which key its switch
  // speaks. Empty: its cloud has none yet.
  std::string record{};
  // What proves it to others: the location record and the hand-offs that lead to it, as base64url of
  // overlay::encode_claim(). Empty where nobody needs it: a switch believes its own cloud without.
  std::string claim{};
  std::int64_t until_ms{0};  // Unix time at which that ends; 0: for as long as it stands here

  bool operator==(const Location&) const = default;
};
BOOST_DESCRIBE_STRUCT(Location, (), (cloud, host, underlay_ip, underlay_port, version, record, claim, until_ms))

// A host's switch, for whoever has something to say to that host by way of the overlay.
struct SwitchPoint {
  std::string ip;  // of its UDP socket; empty: not known
  std::uint16_t port{0};
  std::string record;  // as in Location

  bool operator==(const SwitchPoint&) const = default;
};
BOOST_DESCRIBE_STRUCT(SwitchPoint, (), (ip, port, record))

struct Member {
  std::string instance;
  std::string name;  // its DNS label on the network
  std::string mac;
  std::string ip;
  std::vector<std::string> roles;
  Location location;
  // Of the network's; empty: kDefaultGroup alone. One that the network doesn't have allows nothing.
  std::vector<std::string> groups{};
  // sky's word in the place of a hand-off that nobody can give any more (a fence): that cloud has the instance, with
  // that version, and no other one. Nothing where it has none.
  std::string granted_to{};
  std::uint64_t granted_version{0};
  // A leaf: no instance, but a WireGuard peer with this public key (X25519), in hex; that cloud serves it, by a host
  // that it chooses. Empty: an instance.
  std::string wireguard_key{};
  std::string served_by{};

  bool operator==(const Member&) const = default;
};
BOOST_DESCRIBE_STRUCT(Member, (),
                      (instance, name, mac, ip, roles, location, groups, granted_to, granted_version, wireguard_key,
                       served_by))

struct Network {
  std::string id;  // "net-0123…"
  std::string tenant;
  std::string name;
  std::uint32_t vni{0};  // 24 bits, drawn by sky; unique among the networks of a host
  std::string cidr;      // "10.77.0.0/24"
  std::string cidr6;    // "fd12:3456:789a:bcde::/64": see derive_cidr6(); empty: IPv6 between link-local addresses only
  std::string gateway;  // the same on every host: its metadata, DHCP and DNS answer there
  std::string domain;   // "demo.internal"
  std::string key;      // 32 bytes in hex: authenticates the announcements between its switches. A secret.
  std::uint32_t mtu{1500};
  std::vector<Member> members;
  std::vector<SecurityGroup> groups;
  Location uplink{};  // the host that joins it to a real LAN; empty: none does
};
BOOST_DESCRIBE_STRUCT(Network, (),
                      (id, tenant, name, vni, cidr, cidr6, gateway, domain, key, mtu, members, groups, uplink))

// A cloud's CA: who signs the certificates and records of its hosts.
struct CloudCa {
  std::string cloud;
  std::string pem;
};
BOOST_DESCRIBE_STRUCT(CloudCa, (), (cloud, pem))

constexpr std::size_t kMostLeaves = 64;   // of a network
constexpr std::size_t kRecordText = 700;  // no record is longer, as base64url
constexpr std::size_t kMostHandOffs = 8;  // that travel with a location record
constexpr std::size_t kClaimText = 3900;  // no claim is longer, as base64url

// The IPv6 network that belongs to an id: fd00::/8 (RFC 4193) and 56 bits of its hash.
[[nodiscard]] std::string derive_cidr6(std::string_view network_id);

// Errors: invalid_argument, naming the field.
[[nodiscard]] Result<> validate(const Network& network);

}  // namespace godwit::wire
