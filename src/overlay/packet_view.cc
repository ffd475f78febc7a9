#include "overlay/packet_view.h"

#include "overlay/headers.h"

namespace godwit::overlay {
namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::size_t kTcpHeader = 20;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kIcmpHeader = 8;
constexpr std::size_t kTcpFlagsAt = 13;
// Fragments of TCP that begin before it could overwrite its ports and flags.
constexpr std::uint16_t kLeastTcpFragmentAt = 3;  // in 8 bytes

wire::Ipv6 mapped(wire::Ipv4 ip) { return {0, 0xffff00000000ULL | ip.bits}; }

std::uint8_t byte_at(ByteView bytes, std::size_t at) { return std::to_integer<std::uint8_t>(bytes[at]); }

// An IP header and what is behind it.
struct Inside {
  PacketView view;
  ByteView payload;
  std::uint16_t fragment_at{0};
};

std::optional<Inside> read_ipv4_packet(ByteView packet) {
  const auto ip = wire::read_ipv4(packet);
  if (!ip) return std::nullopt;
  Inside out;
  out.view.ipv4 = true;
  out.view.ends = {mapped(ip->source), mapped(ip->destination), 0, 0, ip->protocol};
  const auto field = load_be16(packet.subspan(6));
  out.fragment_at = field & 0x1fffU;
  out.view.later_fragment = out.fragment_at != 0;
  out.view.first_fragment = out.fragment_at == 0 && (field & 0x2000U) != 0;
  out.view.fragment_id = load_be16(packet.subspan(4));
  out.payload = packet.subspan((std::to_integer<std::size_t>(packet[0]) & 0xfU) * 4);
  return out;
}

std::optional<Inside> read_ipv6_packet(ByteView packet) {
  const auto ip = wire::read_ipv6(packet);
  if (!ip) return std::nullopt;
  Inside out;
  out.view.ends = {ip->source, ip->destination, 0, 0, ip->protocol};
  out.fragment_at = ip->fragment_at;
  out.view.later_fragment = ip->fragment_at != 0;
  out.view.first_fragment = ip->fragment && ip->fragment_at == 0;
  out.view.fragment_id = ip->fragment_id;
  out.payload = packet.subspan(ip->payload);
  return out;
}

std::optional<Inside> read_ip(bool ipv4, ByteView packet) {
  return ipv4 ? read_ipv4_packet(packet) : read_ipv6_packet(packet);
}

// Ports, or an echo's identifier, of what begins with the protocol's header. False: it is cut short.
bool read_ports(PacketEnds& ends, bool ipv4, ByteView payload) {
  if (ends.protocol == kTcp || ends.protocol == kUdp) {
    if (payload.size() < 4) return false;
    ends.source_port = load_be16(payload);
    ends.destination_port = load_be16(payload.subspan(2));
  } else if (ends.protocol == (ipv4 ? kIcmp : wire::kIcmpv6)) {
    if (payload.size() < kIcmpHeader) return false;
    ends.source_port = ends.destination_port = load_be16(payload.subspan(4));
  }
  return true;
}

bool is_error(bool ipv4, std::uint8_t type) {
  return ipv4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

bool read_icmp(PacketView& view, ByteView payload) {
  if (payload.size() < kIcmpHeader) return false;
  view.icmp_type = byte_at(payload, 0);
  view.query = view.icmp_type == (view.ipv4 ? 8 : 128);
  view.answer = view.icmp_type == (view.ipv4 ? 0 : 129);
  view.neighbour_discovery = !view.ipv4 && view.icmp_type >= 133 && view.icmp_type <= 137;
  view.unanswered = !view.query && !view.answer;
  if (!view.unanswered) return read_ports(view.ends, view.ipv4, payload);
  if (!is_error(view.ipv4, view.icmp_type)) return true;
  const auto inner = read_ip(view.ipv4, payload.subspan(kIcmpHeader));
  if (!inner || inner->view.later_fragment) return true;
  auto quoted = inner->view.ends;
  if (read_ports(quoted, view.ipv4, inner->payload)) view.quoted = quoted;
  return true;
}

bool read_transport(PacketView& view, ByteView payload) {
  const auto protocol = view.ends.protocol;
  if (protocol == kTcp) {
    if (payload.size() < kTcpHeader) return false;
    const auto flags = byte_at(payload, kTcpFlagsAt);
    view.finishes = (flags & 0x01U) != 0;
    view.synchronizes = (flags & 0x02U) != 0;
    view.resets = (flags & 0x04U) != 0;
    view.opens = (flags & 0x12U) == 0x02U;
    return read_ports(view.ends, view.ipv4, payload);
  }
  if (protocol == kUdp) return payload.size() >= kUdpHeader && read_ports(view.ends, view.ipv4, payload);
  if (protocol == (view.ipv4 ? kIcmp : wire::kIcmpv6)) return read_icmp(view, payload);
  return true;
}

}  // namespace

std::optional<PacketView> read_packet(const wire::EthernetHeader& header, ByteView frame) {
  const bool ipv4 = header.type == wire::EtherType::ipv4;
  if (!ipv4 && header.type != wire::EtherType::ipv6) return std::nullopt;
  auto inside = read_ip(ipv4, frame.subspan(wire::kEthernetHeader));
  if (!inside) return std::nullopt;
  auto& view = inside->view;
  view.to_group = header.destination.is_group();
  if (view.later_fragment) {
    const bool overwrites = view.ends.protocol == kTcp && inside->fragment_at < kLeastTcpFragmentAt;
    return overwrites ? std::nullopt : std::optional(view);
  }
  if (!read_transport(view, inside->payload)) return std::nullopt;
  return view;
}

}  // namespace godwit::overlay
