#include "overlay/forwarder.h"

#include "overlay/offload.h"

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

void Forwarder::on_frame(const sys::Packet& packet, Outbox& out) {
  const auto* attachment = segments_.attached(packet.port);
  if (!attachment) return drop(Drop::not_attached);
  auto& segment = *attachment->segment;
  if (packet.bytes.size() < wire::kEthernetHeader) return drop(Drop::malformed);
  Frame frame{packet.bytes, packet.offload};
  if (const auto why = check(frame.offload, frame.bytes, segment.frame_limit())) return drop(*why);
  if (!attachment->port) return from_gateway(segment, frame, out);
  from_guest(segment, *attachment->port, frame, out);
}

void Forwarder::from_guest(Segment& segment, const Port& port, const Frame& frame, Outbox& out) {
  if (!port.active()) return drop(Drop::not_claimed);
  const auto header = *wire::read_ethernet(frame.bytes);
  if (const auto why = lie(port, header, frame.bytes)) return drop(*why);
  if (header.type == EtherType::arp && answer_arp(segment, port.handle, false, frame.bytes, out)) return;

  if (header.destination.is_link_local()) return drop(Drop::unsupported);
  if (header.destination == segment.gateway() || is_dhcp_request(header, frame.bytes)) {
    count(segment, header.source, segment.gateway(), frame);
    return to_gateway(segment, frame, out);
  }
  if (header.destination.is_group()) {
    count(segment, header.source, header.destination, frame);
    to_local_ports(segment, port.handle, frame, out);
    for (const auto host : segment.hosts()) to_host(segment, host, 0, frame, out);
    return;
  }
  const auto* member = segment.find(header.destination);
  if (!member) return drop(Drop::unknown_destination);
  count(segment, header.source, header.destination, frame);
  to_member(segment, *member, frame, out);
}

void Forwarder::from_gateway(Segment& segment, const Frame& frame, Outbox& out) {
  const auto header = *wire::read_ethernet(frame.bytes);
  if (header.source != segment.gateway()) return drop(Drop::spoofed_mac);
  if (header.type == EtherType::arp && answer_arp(segment, segment.gateway_handle, true, frame.bytes, out)) return;
  if (header.destination.is_group()) return to_local_ports(segment, 0, frame, out);
  const auto* member = segment.find(header.destination);
  if (!member) return drop(Drop::unknown_destination);
  // The guest would answer its own host's gateway.
  if (!member->here) return drop(Drop::gateway_only_local);
  count(segment, header.source, header.destination, frame);
  to_local_member(*member, frame, out);
}

void Forwarder::count(Segment& segment, wire::Mac source, wire::Mac destination, const Frame& frame) {
  const auto frames = frames_of(frame.offload, frame.bytes);
  const auto bytes = frame.bytes.size() + (frames - 1) * frame.offload.header_bytes;
  counters_.count({segment.vni(), source, destination}, frames, bytes);
  flows_.see(segment.vni(), frame.bytes, frames, bytes);
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

void Forwarder::to_gateway(Segment& segment, const Frame& frame, Outbox& out) {
  if (segment.gateway_handle == 0) return drop(Drop::no_gateway);
  note(out.to_port(segment.gateway_handle, frame.bytes, frame.offload));
}

void Forwarder::to_local_ports(Segment& segment, sys::PortHandle except, const Frame& frame, Outbox& out) {
  for (const auto& [instance, port] : segment.ports()) {
    if (port.handle == 0 || port.handle == except || !port.active()) continue;
    note(out.to_port(port.handle, frame.bytes, frame.offload));
  }
}

void Forwarder::to_member(Segment& segment, const Member& member, const Frame& frame, Outbox& out) {
  if (member.here) return to_local_member(member, frame, out);
  if (member.at == 0) return drop(Drop::not_located);
  to_host(segment, member.at, 0, frame, out);
}

void Forwarder::to_local_member(const Member& member, const Frame& frame, Outbox& out) {
  if (member.held) {
    if (!holder_.keep(member.instance, frame.bytes, frame.offload)) drop(Drop::held_too_many);
    return;
  }
  if (!member.port || !member.port->active()) return drop(Drop::not_claimed);
  if (member.port->handle == 0) return drop(Drop::no_device);
  note(out.to_port(member.port->handle, frame.bytes, frame.offload));
}

void Forwarder::let_go(Segment& segment, const Member& member, const HeldFrame& frame, Outbox& out) {
  if (!member.here && member.at == 0) return drop(Drop::not_located);
  if (!member.here) return to_host(segment, member.at, 1, {frame.bytes, frame.offload}, out);
  const auto scratch = out.scratch(frame.bytes.size());
  if (scratch.empty()) return drop(Drop::crowded);
  std::copy(frame.bytes.begin(), frame.bytes.end(), scratch.begin());
  to_local_member(member, {scratch, frame.offload}, out);
}

void Forwarder::to_host(Segment& segment, PeerId host, std::uint8_t hops, const Frame& frame, Outbox& out) {
  const bool plain = frame.offload == sys::Offload{};
  note(out.to_peer(
      host,
      {plain ? RecordKind::frame : RecordKind::super_frame, hops, segment.vni(), frame.bytes.size(), frame.offload},
      frame.bytes));
}

void Forwarder::on_record(TimePoint now, PeerId from, const RecordHeader& header, ByteView bytes, Outbox& out) {
  auto* segment = segments_.find(header.vni);
  if (!segment) return drop(Drop::unknown_network);
  if (!segment->accepts_from(now, from)) return drop(Drop::not_a_member_host);
  const auto ethernet = wire::read_ethernet(bytes);
  if (!ethernet || ethernet->source.is_group()) return drop(Drop::malformed);
  Frame frame{bytes, header.offload};
  if (const auto why = check(frame.offload, bytes, segment->frame_limit())) return drop(*why);
  if (ethernet->destination == segment->gateway() || ethernet->source == segment->gateway()) {
    return drop(Drop::gateway_only_local);
  }
  if (ethernet->destination.is_group()) return to_local_ports(*segment, 0, frame, out);
  auto* member = segment->find(ethernet->destination);
  if (!member) return drop(Drop::unknown_destination);
  if (member->here) return to_local_member(*member, frame, out);
  stray(now, from, *segment, *member, header.hops, frame, out);
}

void Forwarder::stray(TimePoint now, PeerId from, Segment& segment, Member& member, std::uint8_t hops,
                      const Frame& frame, Outbox& out) {
  if (member.at == 0) return drop(Drop::not_located);
  // Not to the host that it came from: its word is newer than ours.
  if (member.at == from) return drop(Drop::stray);
  if (now >= member.next_correction) {
    member.next_correction = now + kCorrectionEvery;
    send_control(segment, from, {0, Announce{member.instance, member.location}}, out);
  }
  if (now >= member.forward_until || hops >= kMostHops) return drop(Drop::stray);
  to_host(segment, member.at, static_cast<std::uint8_t>(hops + 1), frame, out);
}

}  // namespace godwit::overlay
