#include "overlay/source_check.h"

#include "overlay/headers.h"

namespace godwit::overlay {
namespace {

using wire::EtherType;
using wire::Icmpv6Type;

constexpr std::uint16_t kDhcpServerPort = 67;
constexpr std::uint16_t kDhcpClientPort = 68;
constexpr std::uint16_t kDhcpv6ClientPort = 546;
constexpr std::size_t kUdpHeader = 8;

std::optional<Drop> check_arp(const Port& port, ByteView payload) {
  const auto arp = wire::read_arp(payload);
  if (!arp) return Drop::malformed;
  if (arp->sender_mac != port.mac) return Drop::spoofed_mac;
  if (arp->sender_ip != port.ip && arp->sender_ip.bits != 0) return Drop::spoofed_ip;
  return std::nullopt;
}

std::optional<Drop> check_ipv4(const Port& port, ByteView payload) {
  const auto ip = wire::read_ipv4(payload);
  if (!ip) return Drop::malformed;
  const bool asks_for_address = ip->source.bits == 0 && ip->udp_destination_port == kDhcpServerPort;
  if (ip->source != port.ip && !asks_for_address) return Drop::spoofed_ip;
  if (ip->udp_destination_port == kDhcpClientPort) return Drop::not_a_server;
  return std::nullopt;
}

bool somebody_elses(Segment& segment, const Port& port, const wire::Ipv6& address) {
  if (wire::mac_of_link_local(address) == segment.gateway() || segment.find(address)) return true;
  for (const auto& [instance, other] : segment.ports()) {
    if (&other != &port && other.link_locals.has(address)) return true;
  }
  return false;
}

// The port's, or from now on.
bool may_use(Segment& segment, Port& port, const wire::Ipv6& address) {
  if (owns(segment, port, address)) return true;
  if (!address.is_link_local() || somebody_elses(segment, port, address)) return false;
  port.link_locals.add(address);
  return true;
}

std::optional<Drop> check_neighbour_message(Segment& segment, Port& port, const wire::Ipv6Packet& ip, ByteView packet) {
  const auto message = wire::read_neighbour_message(ip, packet);
  if (!message) return Drop::malformed;
  if (message->link_address && *message->link_address != port.mac) return Drop::spoofed_mac;
  if (message->type == Icmpv6Type::neighbour_advertisement) {
    return may_use(segment, port, message->target) ? std::nullopt : std::optional(Drop::spoofed_ip);
  }
  if (!ip.source.is_unspecified()) return std::nullopt;
  // A guest asks whether it may have an address (RFC 4862, 5.4).
  if (message->link_address) return Drop::malformed;
  if (message->target.is_link_local()) [[maybe_unused]]
    const bool its_own = may_use(segment, port, message->target);
  return std::nullopt;
}

std::optional<Drop> check_icmpv6(Segment& segment, Port& port, const wire::Ipv6Packet& ip, ByteView packet) {
  switch (static_cast<Icmpv6Type>(packet[ip.payload])) {
    case Icmpv6Type::router_advertisement:
    case Icmpv6Type::redirect: return Drop::not_a_router;
    case Icmpv6Type::router_solicitation: return ip.fragment ? std::optional(Drop::malformed) : std::nullopt;
    case Icmpv6Type::neighbour_solicitation:
    case Icmpv6Type::neighbour_advertisement: return check_neighbour_message(segment, port, ip, packet);
    // Nobody here keeps a list of who listens to what.
    case Icmpv6Type::multicast_query:
    case Icmpv6Type::multicast_report:
    case Icmpv6Type::multicast_done:
    case Icmpv6Type::multicast_report_2: return Drop::needless;
    default: return ip.source.is_unspecified() ? std::optional(Drop::spoofed_ip) : std::nullopt;
  }
}

std::optional<Drop> check_ipv6(Segment& segment, Port& port, ByteView payload) {
  const auto ip = wire::read_ipv6(payload);
  if (!ip) return Drop::malformed;
  if (!ip->source.is_unspecified() && !may_use(segment, port, ip->source)) return Drop::spoofed_ip;
  const auto inside = payload.subspan(ip->payload);
  if (ip->fragment_at == 0 && ip->protocol == wire::kIcmpv6 && !inside.empty()) {
    return check_icmpv6(segment, port, *ip, payload);
  }
  if (ip->source.is_unspecified()) return Drop::spoofed_ip;
  if (ip->fragment_at != 0) return std::nullopt;
  // A first fragment has all headers (RFC 7112): else what it is could hide in the next one.
  if (ip->fragment && inside.size() < kUdpHeader) return Drop::malformed;
  const bool udp = ip->protocol == kUdp && inside.size() >= kUdpHeader;
  return udp && load_be16(inside.subspan(2)) == kDhcpv6ClientPort ? std::optional(Drop::not_a_server) : std::nullopt;
}

}  // namespace

bool owns(const Segment& segment, const Port& port, const wire::Ipv6& address) {
  return address == segment.ipv6_of(port.ip) || address == wire::link_local_of(port.mac) ||
         port.link_locals.has(address);
}

std::optional<Drop> check_source(Segment& segment, Port& port, const wire::EthernetHeader& header, ByteView frame) {
  if (header.source != port.mac) return Drop::spoofed_mac;
  const auto payload = frame.subspan(wire::kEthernetHeader);
  switch (header.type) {
    case EtherType::arp: return check_arp(port, payload);
    case EtherType::ipv4: return check_ipv4(port, payload);
    case EtherType::ipv6: return check_ipv6(segment, port, payload);
    // Behind a tag nothing above would be checked.
    case EtherType::vlan:
    case EtherType::service_vlan: return Drop::unsupported;
    case EtherType::rarp: return Drop::needless;
    default: return std::nullopt;
  }
}

}  // namespace godwit::overlay
