// IPv6 as far as the switch must understand it: addresses, headers with their extensions (RFC 8200), and neighbour
// discovery (RFC 4861). Reading is bounded and copies nothing.
#pragma once

#include "wire/ethernet.h"

namespace godwit::wire {

// The first byte on the wire is the highest.
struct Ipv6 {
  std::uint64_t high{0};
  std::uint64_t low{0};

  auto operator<=>(const Ipv6&) const = default;
  [[nodiscard]] bool is_unspecified() const { return high == 0 && low == 0; }
  [[nodiscard]] bool is_multicast() const { return (high >> 56U) == 0xffU; }
  [[nodiscard]] bool is_link_local() const { return (high >> 54U) == (0xfe80U >> 6U); }
};
constexpr Ipv6 kAllNodes{0xff02000000000000ULL, 1};

struct Ipv6Prefix {
  Ipv6 address;
  unsigned length{0};

  [[nodiscard]] bool contains(Ipv6 other) const;
};

// As RFC 5952 writes it. Errors: invalid_argument.
[[nodiscard]] Result<Ipv6> parse_ipv6(std::string_view text);
[[nodiscard]] Result<Ipv6Prefix> parse_ipv6_prefix(std::string_view text);  // "fd12:3456:789a:bcde::/64"
[[nodiscard]] std::string to_string(Ipv6 address);

[[nodiscard]] Ipv6 load_ipv6(ByteView bytes);
void store_ipv6(ByteSpan bytes, Ipv6 address);

// fe80::/64 and the MAC as EUI-64 (RFC 4291, appendix A), and back; nothing where it is none of these.
[[nodiscard]] Ipv6 link_local_of(Mac mac);
[[nodiscard]] std::optional<Mac> mac_of_link_local(Ipv6 address);
// The address of a network's member: its prefix and, in the last 32 bits, its IPv4 address.
[[nodiscard]] Ipv6 member_address(const Ipv6Prefix& network, Ipv4 member);
// 33:33 and its last 32 bits (RFC 2464).
[[nodiscard]] Mac multicast_mac(Ipv6 group);

constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kMostExtensions = 8;
constexpr std::uint8_t kIcmpv6 = 58;

// A packet behind its extension headers.
struct Ipv6Packet {
  Ipv6 source;
  Ipv6 destination;
  std::uint8_t hop_limit{0};
  std::uint8_t protocol{0};      // what follows the last extension header
  std::size_t payload{0};        // where that begins, in the packet
  bool fragment{false};          // a fragment header was among them, of more than one fragment
  std::uint16_t fragment_at{0};  // in 8 bytes: 0 for the first, whose payload begins with the protocol's header
  std::uint32_t fragment_id{0};
};
// `packet` follows the Ethernet header. Nothing where a header is cut short, or there are more than kMostExtensions.
[[nodiscard]] std::optional<Ipv6Packet> read_ipv6(ByteView packet);

enum class Icmpv6Type : std::uint8_t {
  multicast_query = 130,
  multicast_report = 131,
  multicast_done = 132,
  router_solicitation = 133,
  router_advertisement = 134,
  neighbour_solicitation = 135,
  neighbour_advertisement = 136,
  redirect = 137,
  multicast_report_2 = 143,
};

// A solicitation or advertisement of a neighbour.
struct NeighbourMessage {
  Icmpv6Type type{};
  Ipv6 target;
  std::optional<Mac> link_address;  // the source's in a solicitation, the target's in an advertisement
};
// What `header` says of `packet` holds. Nothing where it is no such message, or not as RFC 4861, 7.1, wants it: hop
// limit 255, code 0, whole, single target, options in order, not in fragments (RFC 6980). The checksum is the
// receiver's.
[[nodiscard]] std::optional<NeighbourMessage> read_neighbour_message(const Ipv6Packet& header, ByteView packet);

// RFC 1071 with the pseudo-header, over an ICMPv6 message whose checksum field is 0; `addresses` are the 32 bytes of
// the packet's two.
[[nodiscard]] std::uint16_t icmpv6_checksum(ByteView addresses, ByteView message);

constexpr std::size_t kAdvertisementFrame = kEthernetHeader + kIpv6Header + 32;
struct Advertisement {
  Ipv6 target;
  Mac target_mac;
  bool router{false};
  bool solicited{false};
};
// A whole frame, from the target itself.
[[nodiscard]] std::array<std::byte, kAdvertisementFrame> advertisement_frame(Mac to, Ipv6 to_address,
                                                                             const Advertisement& advertisement);

}  // namespace godwit::wire

template <>
struct std::hash<godwit::wire::Ipv6> {
  std::size_t operator()(const godwit::wire::Ipv6& ip) const {
    return (ip.high * 0x9e3779b97f4a7c15ULL) ^ (ip.low * 0xc2b2ae3d27d4eb4fULL >> 16U);
  }
};
