#include "overlay/forwarder.h"

#include "base/assert.h"

#include <algorithm>
#include <optional>

namespace godwit::overlay {
namespace {

using wire::EtherType;

constexpr std::uint16_t kDhcpServerPort = 67;

ByteView payload_of(ByteView frame) { return frame.subspan(wire::kEthernetHeader); }

bool is_dhcp_request(const wire::EthernetHeader& header, ByteView frame) {
  if (header.type != EtherType::ipv4) return false;
  const auto ip = wire::read_ipv4(payload_of(frame));
  return ip && ip->udp_destination_port == kDhcpServerPort;
}

bool is_link_local_or_unspecified(const std::array<std::byte, 16>& ip) {
  const bool link_local = ip[0] == std::byte{0xfe} && (ip[1] & std::byte{0xc0}) == std::byte{0x80};
  return link_local || std::all_of(ip.begin(), ip.end(), [](std::byte each) { return each == std::byte{0}; });
}

// What is wrong with the source that a guest's frame claims; nothing when it is the guest's own.
std::optional<Drop> lie(const Port& port, const wire::EthernetHeader& header, ByteView frame) {
  if (header.source != port.mac) return Drop::spoofed_mac;
  const auto payload = payload_of(frame);
  switch (header.type) {
    case EtherType::arp: {
      const auto arp = wire::read_arp(payload);
      if (!arp) return Drop::malformed;
      if (arp->sender_mac != port.mac) return Drop::spoofed_mac;
      if (arp->sender_ip != port.ip && arp->sender_ip.bits != 0) return Drop::spoofed_ip;
      return std::nullopt;
    }
    case EtherType::ipv4: {
      const auto ip = wire::read_ipv4(payload);
      if (!ip) return Drop::malformed;
      const bool asks_for_address = ip->source.bits == 0 && ip->udp_destination_port == kDhcpServerPort;
      if (ip->source != port.ip && !asks_for_address) return Drop::spoofed_ip;
      return std::nullopt;
    }
    case EtherType::ipv6: {
      const auto source = wire::read_ipv6_source(payload);
      if (!source) return Drop::malformed;
      if (!is_link_local_or_unspecified(*source)) return Drop::spoofed_ip;
      return std::nullopt;
    }
    // Behind a tag nothing above would be checked.
    case EtherType::vlan:
    case EtherType::service_vlan: return Drop::unsupported;
    case EtherType::rarp: return Drop::needless;
    default: return std::nullopt;
  }
}

}  // namespace

void Forwarder::on_frame(sys::Packet& packet, Outbox& out) {
  const auto* attachment = segments_.attached(packet.port);
  if (!attachment) return drop(Drop::not_attached);
  auto& segment = *attachment->segment;
  if (packet.size < wire::kEthernetHeader) return drop(Drop::malformed);
  if (packet.size > segment.frame_limit()) return drop(Drop::too_big);
  if (!attachment->port) return from_gateway(segment, packet, out);
  from_guest(segment, *attachment->port, packet, out);
}

void Forwarder::from_guest(Segment& segment, const Port& port, sys::Packet& packet, Outbox& out) {
  if (!port.active()) return drop(Drop::not_claimed);
  const auto frame = packet.bytes();
  const auto header = *wire::read_ethernet(frame);
  if (const auto why = lie(port, header, frame)) return drop(*why);
  if (header.type == EtherType::arp && answer_arp(segment, packet.port, false, frame, out)) return;

  if (header.destination.is_link_local()) return drop(Drop::unsupported);
  if (header.destination == segment.gateway() || is_dhcp_request(header, frame)) {
    counters_.count({segment.vni(), header.source, segment.gateway()}, frame.size());
    return to_gateway(segment, packet, out);
  }
  if (header.destination.is_group()) {
    counters_.count({segment.vni(), header.source, header.destination}, frame.size());
    to_local_ports(segment, packet.port, frame, out);
    return to_hosts(segment, frame, out);
  }
  const auto* member = segment.find(header.destination);
  if (!member) return drop(Drop::unknown_destination);
  counters_.count({segment.vni(), header.source, header.destination}, frame.size());
  to_member(segment, *member, packet, out);
}

void Forwarder::from_gateway(Segment& segment, sys::Packet& packet, Outbox& out) {
  const auto frame = packet.bytes();
  const auto header = *wire::read_ethernet(frame);
  if (header.source != segment.gateway()) return drop(Drop::spoofed_mac);
  if (header.type == EtherType::arp && answer_arp(segment, packet.port, true, frame, out)) return;
  if (header.destination.is_group()) return to_local_ports(segment, packet.port, frame, out);
  const auto* member = segment.find(header.destination);
  if (!member) return drop(Drop::unknown_destination);
  // The guest would answer its own host's gateway.
  if (!member->here) return drop(Drop::gateway_only_local);
  counters_.count({segment.vni(), header.source, header.destination}, frame.size());
  to_local_member(*member, frame, out);
}

bool Forwarder::answer_arp(Segment& segment, sys::PortHandle asker, bool asker_is_gateway, ByteView frame,
                           Outbox& out) {
  const auto header = *wire::read_ethernet(frame);
  const auto arp = wire::read_arp(payload_of(frame));
  if (!arp) {
    drop(Drop::malformed);
    return true;
  }
  if (arp->operation != wire::ArpOperation::request) {
    if (!header.destination.is_group()) return false;
    drop(Drop::needless);
    return true;
  }
  wire::Mac found;
  if (segment.is_gateway_ip(arp->target_ip)) {
    if (!asker_is_gateway) found = segment.gateway();
  } else if (const auto* member = segment.find(arp->target_ip)) {
    const bool reachable = member->here || (member->at && !asker_is_gateway);
    if (reachable && member->mac != arp->sender_mac) found = member->mac;
  }
  if (found.bits == 0) {
    drop(arp->target_ip == arp->sender_ip ? Drop::needless : Drop::unknown_destination);
    return true;
  }
  const auto reply =
      wire::arp_frame({arp->sender_mac, found, EtherType::arp},
                      {wire::ArpOperation::reply, found, arp->target_ip, arp->sender_mac, arp->sender_ip});
  const auto scratch = out.scratch(reply.size());
  std::copy_n(reply.begin(), scratch.size(), scratch.begin());
  note(!scratch.empty() && out.to_port(asker, scratch));
  return true;
}

void Forwarder::to_gateway(Segment& segment, const sys::Packet& packet, Outbox& out) {
  if (segment.gateway_handle == 0) return drop(Drop::no_gateway);
  note(out.to_port(segment.gateway_handle, packet.bytes()));
}

void Forwarder::to_local_ports(Segment& segment, sys::PortHandle except, ByteView frame, Outbox& out) {
  for (const auto& [instance, port] : segment.ports()) {
    if (port.handle != 0 && port.handle != except && port.active()) note(out.to_port(port.handle, frame));
  }
}

// A copy for each: a seal differs from peer to peer.
void Forwarder::to_hosts(Segment& segment, ByteView frame, Outbox& out) {
  for (const auto& host : segment.hosts()) copy_to_host(segment, host, 0, frame, out);
}

void Forwarder::copy_to_host(Segment& segment, const sys::UdpEndpoint& host, std::uint8_t hops, ByteView frame,
                             Outbox& out) {
  sys::Packet copy;
  copy.room = out.scratch(sys::kPacketHeadroom + frame.size() + sys::kPacketTailroom);
  if (copy.room.empty()) return drop(Drop::crowded);
  copy.begin = sys::kPacketHeadroom;
  copy.size = frame.size();
  std::copy(frame.begin(), frame.end(), copy.bytes().begin());
  to_host(segment, host, hops, copy, out);
}

void Forwarder::to_member(Segment& segment, const Member& member, sys::Packet& packet, Outbox& out) {
  if (member.here) return to_local_member(member, packet.bytes(), out);
  if (!member.at) return drop(Drop::not_located);
  to_host(segment, member.at, 0, packet, out);
}

void Forwarder::to_local_member(const Member& member, ByteView frame, Outbox& out) {
  if (member.held) {
    if (!holder_.keep(member.instance, frame)) drop(Drop::held_too_many);
    return;
  }
  if (!member.port || !member.port->active()) return drop(Drop::not_claimed);
  if (member.port->handle == 0) return drop(Drop::no_device);
  note(out.to_port(member.port->handle, frame));
}

void Forwarder::let_go(Segment& segment, const Member& member, ByteView frame, Outbox& out) {
  if (!member.here && !member.at) return drop(Drop::not_located);
  if (!member.here) return copy_to_host(segment, member.at, 1, frame, out);
  const auto scratch = out.scratch(frame.size());
  if (scratch.empty()) return drop(Drop::crowded);
  std::copy(frame.begin(), frame.end(), scratch.begin());
  to_local_member(member, scratch, out);
}

// Header and seal are put around the frame where it lies.
void Forwarder::to_host(Segment& segment, const sys::UdpEndpoint& host, std::uint8_t hops, sys::Packet& packet,
                        Outbox& out) {
  GODWIT_ASSERT(packet.begin >= kHeaderBytes &&
                packet.room.size() - packet.begin - packet.size >= sys::kPacketTailroom);
  const auto datagram = packet.room.subspan(packet.begin - kHeaderBytes);
  write_header(datagram, {DatagramType::data, seal_.profile(), hops, segment.vni()});
  const auto sealed = seal_.seal(host, datagram.first(kHeaderBytes), datagram.subspan(kHeaderBytes), packet.size);
  if (!sealed) return drop(Drop::not_authentic);
  note(out.to_peer(host, datagram.first(kHeaderBytes + *sealed)));
}

void Forwarder::on_data(TimePoint now, const Header& header, sys::Packet& packet, Outbox& out) {
  auto* segment = segments_.find(header.vni);
  if (!segment) return drop(Drop::unknown_network);
  if (!segment->accepts_from(now, packet.peer)) return drop(Drop::not_a_member_host);
  if (header.seal != seal_.profile()) return drop(Drop::not_authentic);
  const auto datagram = packet.bytes();
  const auto opened = seal_.open(packet.peer, datagram.first(kHeaderBytes), datagram.subspan(kHeaderBytes));
  if (!opened) return drop(Drop::not_authentic);
  packet.begin += kHeaderBytes;
  packet.size = *opened;

  const auto frame = packet.bytes();
  const auto ethernet = wire::read_ethernet(frame);
  if (!ethernet || ethernet->source.is_group()) return drop(Drop::malformed);
  if (frame.size() > segment->frame_limit()) return drop(Drop::too_big);
  if (ethernet->destination == segment->gateway() || ethernet->source == segment->gateway()) {
    return drop(Drop::gateway_only_local);
  }
  if (ethernet->destination.is_group()) return to_local_ports(*segment, 0, frame, out);
  auto* member = segment->find(ethernet->destination);
  if (!member) return drop(Drop::unknown_destination);
  if (member->here) return to_local_member(*member, frame, out);
  stray(now, *segment, *member, header, packet, out);
}

void Forwarder::stray(TimePoint now, Segment& segment, Member& member, const Header& header, sys::Packet& packet,
                      Outbox& out) {
  if (!member.at) return drop(Drop::not_located);
  // Not to the host that it came from: its word is newer than ours.
  if (member.at == packet.peer) return drop(Drop::stray);
  if (now >= member.next_correction) {
    member.next_correction = now + kCorrectionEvery;
    send_control(segment, packet.peer, {0, Announce{member.instance, member.location}}, out);
  }
  if (now >= member.forward_until || header.hops >= kMostHops) return drop(Drop::stray);
  to_host(segment, member.at, static_cast<std::uint8_t>(header.hops + 1), packet, out);
}

}  // namespace godwit::overlay
