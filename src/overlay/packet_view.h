// What a packet filter must know of a frame: whose packet it is, of which conversation. Bounded; for any bytes. Pure.
// Sources: RFC 791, 792, 768, 9293, 4443, 8200; of fragments that hide their headers, RFC 1858, 3128, 7112.
#pragma once

#include "wire/ipv6.h"

#include <optional>

namespace godwit::overlay {

// IPv4 addresses as ::ffff:a.b.c.d.
struct PacketEnds {
  wire::Ipv6 source;
  wire::Ipv6 destination;
  std::uint16_t source_port{0};  // of TCP and UDP; an ICMP query's identifier in both
  std::uint16_t destination_port{0};
  std::uint8_t protocol{0};

  bool operator==(const PacketEnds&) const = default;
};

struct PacketView {
  PacketEnds ends;
  bool ipv4{false};
  bool to_group{false};        // broadcast or multicast
  bool later_fragment{false};  // its protocol's header is in another one: no ports, flags or types
  bool first_fragment{false};
  std::uint32_t fragment_id{0};
  bool opens{false};                 // TCP: SYN without ACK
  bool synchronizes{false};          // TCP: SYN
  bool finishes{false};              // TCP: FIN
  bool resets{false};                // TCP: RST
  std::uint8_t icmp_type{0};         // ICMP and ICMPv6
  bool query{false};                 // an echo request
  bool answer{false};                // an echo reply
  bool unanswered{false};            // another ICMP message
  bool neighbour_discovery{false};   // ICMPv6: router and neighbour messages
  std::optional<PacketEnds> quoted;  // of an ICMP error: the packet that it is about
};

// Nothing where it is neither IPv4 nor IPv6, is cut short, or hides in fragments what it is.
[[nodiscard]] std::optional<PacketView> read_packet(const wire::EthernetHeader& header, ByteView frame);

}  // namespace godwit::overlay
