// Ethernet frames and what the switch must understand inside them: ARP (RFC 826), IPv4, UDP's ports, IPv6's source.
// Reading is bounded and copies nothing.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace godwit::wire {

// 48 bits, the first byte on the wire being the highest.
struct Mac {
  std::uint64_t bits{0};

  auto operator<=>(const Mac&) const = default;
  [[nodiscard]] bool is_group() const { return ((bits >> 40U) & 1U) != 0; }
  [[nodiscard]] bool is_broadcast() const { return bits == 0xffffffffffffULL; }
  // 01:80:c2:00:00:0X: for the next bridge only, never passed on (IEEE 802.1D table 7-10).
  [[nodiscard]] bool is_link_local() const { return (bits >> 4U) == 0x0180c200000ULL; }
};
constexpr Mac kBroadcastMac{0xffffffffffffULL};

struct Ipv4 {
  std::uint32_t bits{0};

  auto operator<=>(const Ipv4&) const = default;
};

struct Ipv4Prefix {
  Ipv4 address;
  unsigned length{0};

  [[nodiscard]] bool contains(Ipv4 other) const {
    return length == 0 || ((address.bits ^ other.bits) >> (32U - length)) == 0;
  }
};

// "02:67:00:00:00:01", either case. Errors: invalid_argument.
[[nodiscard]] Result<Mac> parse_mac(std::string_view text);
[[nodiscard]] Result<Ipv4> parse_ipv4(std::string_view text);
[[nodiscard]] Result<Ipv4Prefix> parse_ipv4_prefix(std::string_view text);  // "10.77.0.0/24"
[[nodiscard]] std::string to_string(Mac mac);
[[nodiscard]] std::string to_string(Ipv4 address);

constexpr std::size_t kEthernetHeader = 14;

enum class EtherType : std::uint16_t {
  ipv4 = 0x0800,
  arp = 0x0806,
  rarp = 0x8035,
  vlan = 0x8100,
  ipv6 = 0x86dd,
  service_vlan = 0x88a8,
};

// The header of a frame that holds at least kEthernetHeader bytes.
struct EthernetHeader {
  Mac destination;
  Mac source;
  EtherType type{};  // may be a value that has no name
};
[[nodiscard]] std::optional<EthernetHeader> read_ethernet(ByteView frame);

enum class ArpOperation : std::uint16_t { request = 1, reply = 2 };

// ARP for IPv4 over Ethernet.
struct Arp {
  ArpOperation operation{};
  Mac sender_mac;
  Ipv4 sender_ip;
  Mac target_mac;
  Ipv4 target_ip;
};
constexpr std::size_t kArpFrame = kEthernetHeader + 28;
// `payload` follows the Ethernet header. Nothing when it is another kind of ARP, or cut short.
[[nodiscard]] std::optional<Arp> read_arp(ByteView payload);
// A whole frame.
[[nodiscard]] std::array<std::byte, kArpFrame> arp_frame(const EthernetHeader& header, const Arp& arp);

struct Ipv4Header {
  Ipv4 source;
  Ipv4 destination;
  std::uint8_t protocol{0};
  std::uint16_t udp_destination_port{0};  // of an unfragmented (or first) UDP packet, else 0
};
[[nodiscard]] std::optional<Ipv4Header> read_ipv4(ByteView payload);

// The source address of an IPv6 packet.
[[nodiscard]] std::optional<std::array<std::byte, 16>> read_ipv6_source(ByteView payload);

}  // namespace godwit::wire

template <>
struct std::hash<godwit::wire::Mac> {
  std::size_t operator()(godwit::wire::Mac mac) const { return mac.bits * 0x9e3779b97f4a7c15ULL >> 16U; }
};
template <>
struct std::hash<godwit::wire::Ipv4> {
  std::size_t operator()(godwit::wire::Ipv4 ip) const { return ip.bits * 0x9e3779b97f4a7c15ULL >> 16U; }
};
