#include "overlay/forwarder.h"

#include "overlay/headers.h"
#include "overlay/hint.h"
#include "overlay/lan.h"
#include "overlay/leaf.h"
#include "overlay/neighbours.h"
#include "overlay/offload.h"
#include "overlay/port_admission.h"
#include "overlay/source_check.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

using wire::EtherType;

constexpr std::uint16_t kDhcpServerPort = 67;
constexpr std::uint16_t kDhcpv6ServerPort = 547;
constexpr std::size_t kUdpHeader = 8;

ByteView payload_of(ByteView frame) { return frame.subspan(wire::kEthernetHeader); }

// For the gateway, whatever address it is sent to: DHCP, and who looks for a router.
bool is_for_gateway(const wire::EthernetHeader& header, ByteView frame) {
  const auto payload = payload_of(frame);
  if (header.type == EtherType::ipv4) {
    const auto ip = wire::read_ipv4(payload);
    return ip && ip->udp_destination_port == kDhcpServerPort;
  }
  if (header.type != EtherType::ipv6 || !header.destination.is_group()) return false;
  const auto ip = wire::read_ipv6(payload);
  if (!ip || ip->fragment_at != 0 || payload.size() < ip->payload + kUdpHeader) return false;
  const auto inside = payload.subspan(ip->payload);
  if (ip->protocol == kUdp) return load_be16(inside.subspan(2)) == kDhcpv6ServerPort;
  return ip->protocol == wire::kIcmpv6 && inside[0] == static_cast<std::byte>(wire::Icmpv6Type::router_solicitation);
}

}  // namespace

void Forwarder::on_frame(TimePoint now, const sys::Packet& packet, Outbox& out) {
  const auto* attachment = segments_.attached(packet.port);
  if (!attachment) return drop(Drop::not_attached);
  auto& segment = *attachment->segment;
  if (packet.bytes.size() < wire::kEthernetHeader) return drop(Drop::malformed);
  Frame frame{packet.bytes, packet.offload};
  if (const auto why = check(frame.offload, frame.bytes, segment.frame_limit())) return drop(*why);
  if (attachment->lan) return from_lan(now, segment, frame, out);
  if (!attachment->port) return from_gateway(segment, frame, out);
  from_guest(now, segment, *attachment->port, frame, out);
}

void Forwarder::from_guest(TimePoint now, Segment& segment, Port& port, const Frame& frame, Outbox& out) {
  const auto header = *wire::read_ethernet(frame.bytes);
  const auto why = port.active() ? check_source(segment, port, header, frame.bytes) : Drop::not_claimed;
  if (why == Drop::not_claimed || why == Drop::spoofed_mac) note_hint(now, segment, &port, header, frame.bytes);
  if (why) return drop(*why);
  if (segment.has_lan(now) && asks_for_lan(segment, header, frame.bytes)) return to_lan(now, segment, 0, frame, out);
  if (answer_neighbour(segment, {port.handle, &port}, header, frame.bytes, counters_, out)) return;

  if (header.destination.is_link_local()) return drop(Drop::unsupported);
  const bool group = header.destination.is_group();
  if (group && !port.groups.take(now, frames_of(frame.offload, frame.bytes))) return drop(Drop::too_many_to_groups);
  if (header.destination == segment.gateway() || is_for_gateway(header, frame.bytes)) {
    count(segment, header.source, segment.gateway(), frame);
    return to_gateway(segment, frame, out);
  }
  const auto verdict = may_leave(now, segments_, segment, port, frame.bytes);
  if (!admitted(verdict)) return;
  const std::uint8_t flags = verdict == Verdict::answers ? kAnswers : std::uint8_t{0};
  if (group) {
    count(segment, header.source, header.destination, frame);
    to_local_ports(now, segment, port.handle, flags, frame, out);
    for (const auto host : segment.hosts()) to_host(segment, host, flags, frame, out);
    if (segment.bridges(now)) to_lan(now, segment, flags, frame, out);
    return;
  }
  const auto* member = segment.find(header.destination);
  if (!member && !segment.has_lan(now)) return drop(Drop::unknown_destination);
  count(segment, header.source, header.destination, frame);
  if (!member) return to_lan(now, segment, flags, frame, out);
  to_member(now, segment, *member, flags, frame, out);
}

void Forwarder::from_lan(TimePoint now, Segment& segment, const Frame& frame, Outbox& out) {
  if (!segment.bridges(now)) return drop(Drop::not_attached);
  const auto header = *wire::read_ethernet(frame.bytes);
  const auto why = refuse_from_lan(segment, header, frame.bytes);
  if (why == Drop::spoofed_mac) note_hint(now, segment, nullptr, header, frame.bytes);
  if (why) return drop(*why);
  if (answer_neighbour(segment, {segment.lan_handle, nullptr, true}, header, frame.bytes, counters_, out)) return;
  if (header.destination == segment.gateway()) return drop(Drop::gateway_only_local);
  if (header.destination.is_group()) {
    if (!segment.lan_groups.take(now, frames_of(frame.offload, frame.bytes))) return drop(Drop::too_many_to_groups);
    count(segment, header.source, header.destination, frame);
    to_local_ports(now, segment, 0, 0, frame, out);
    for (const auto host : segment.hosts()) to_host(segment, host, 0, frame, out);
    return;
  }
  const auto* member = segment.find(header.destination);
  if (!member) return drop(Drop::needless);  // between two of the LAN's own
  count(segment, header.source, header.destination, frame);
  to_member(now, segment, *member, 0, frame, out);
}

void Forwarder::to_lan(TimePoint now, Segment& segment, std::uint8_t flags, const Frame& frame, Outbox& out) {
  if (!segment.bridges(now) && segment.uplink() != kNobody) {
    return to_host(segment, segment.uplink(), flags, frame, out);
  }
  if (!segment.bridges(now) || segment.lan_handle == 0) return drop(Drop::no_device);
  note(out.to_port(segment.lan_handle, frame.bytes, frame.offload));
}

void Forwarder::from_gateway(Segment& segment, const Frame& frame, Outbox& out) {
  const auto header = *wire::read_ethernet(frame.bytes);
  if (header.source != segment.gateway()) return drop(Drop::spoofed_mac);
  if (answer_neighbour(segment, {segment.gateway_handle, nullptr}, header, frame.bytes, counters_, out)) return;
  if (header.destination.is_group()) return gateway_to_all(segment, frame, out);
  const auto* member = segment.find(header.destination);
  if (!member) return drop(Drop::unknown_destination);
  // The guest would answer its own host's gateway.
  if (!member->here) return drop(Drop::gateway_only_local);
  count(segment, header.source, header.destination, frame);
  deliver(segment, *member, frame, out);
}

void Forwarder::to_gateway(Segment& segment, const Frame& frame, Outbox& out) {
  if (segment.gateway_handle == 0) return drop(Drop::no_gateway);
  note(out.to_port(segment.gateway_handle, frame.bytes, frame.offload));
}

bool Forwarder::admitted(Verdict verdict) {
  if (verdict == Verdict::refused) drop(Drop::not_allowed);
  if (verdict == Verdict::too_many) drop(Drop::too_many_connections);
  return passes(verdict);
}

void Forwarder::gateway_to_all(Segment& segment, const Frame& frame, Outbox& out) {
  for (const auto& [instance, port] : segment.ports()) {
    if (port.handle != 0 && port.active()) note(out.to_port(port.handle, frame.bytes, frame.offload));
  }
}

void Forwarder::to_local_ports(TimePoint now, Segment& segment, sys::PortHandle except, std::uint8_t flags,
                               const Frame& frame, Outbox& out) {
  const bool answers = (flags & kAnswers) != 0;
  for (auto& [instance, port] : segment.ports()) {
    if (port.handle == 0 || port.handle == except || !port.active()) continue;
    if (!admitted(may_arrive(now, segments_, segment, port, frame.bytes, answers))) continue;
    note(out.to_port(port.handle, frame.bytes, frame.offload));
  }
}

void Forwarder::to_member(TimePoint now, Segment& segment, const Member& member, std::uint8_t flags, const Frame& frame,
                          Outbox& out) {
  if (member.here) return to_local_member(now, segment, member, flags, frame, out);
  if (member.at == 0) return drop(Drop::not_located);
  to_host(segment, member.at, flags, frame, out);
}

void Forwarder::to_local_member(TimePoint now, Segment& segment, const Member& member, std::uint8_t flags,
                                const Frame& frame, Outbox& out) {
  const bool answers = (flags & kAnswers) != 0;
  if (member.port && !admitted(may_arrive(now, segments_, segment, *member.port, frame.bytes, answers))) return;
  deliver(segment, member, frame, out);
}

void Forwarder::deliver(Segment& segment, const Member& member, const Frame& frame, Outbox& out) {
  if (member.held) {
    if (!holder_.keep(member.instance(), frame.bytes, frame.offload)) drop(Drop::held_too_many);
    return;
  }
  if (!member.port || !member.port->active()) return drop(Drop::not_claimed);
  if (member.port->leaf_key) return to_leaf(segment, *member.port, frame, out);
  if (member.port->handle == 0) return drop(Drop::no_device);
  note(out.to_port(member.port->handle, frame.bytes, frame.offload));
}

void Forwarder::on_leaf(TimePoint now, const Attachment& leaf, ByteView payload, Outbox& out) {
  const auto made = frame_from_leaf(*leaf.segment, *leaf.port, payload, out);
  if (const auto* why = std::get_if<Drop>(&made)) return drop(*why);
  from_guest(now, *leaf.segment, *leaf.port, {std::get<ByteSpan>(made), {}}, out);
}

void Forwarder::to_leaf(Segment& segment, const Port& leaf, const Frame& frame, Outbox& out) {
  if (leaf.leaf == kNobody) return drop(Drop::no_device);
  const auto why =
      packets_for_leaf(frame.bytes, frame.offload, [&](ByteView packet) { note(out.to_leaf(leaf.leaf, packet)); });
  if (!why) return;
  drop(*why);
  if (*why != Drop::too_big) return;
  const auto told = too_big_for_leaf(segment, leaf, frame.bytes, out);
  const auto* sender = told.empty() ? nullptr : segment.find(wire::read_ethernet(told)->destination);
  if (!sender) return;
  if (sender->here) return deliver(segment, *sender, {told, {}}, out);
  if (sender->at != 0) to_host(segment, sender->at, kAnswers, {told, {}}, out);
}

void Forwarder::let_go(Segment& segment, const Member& member, const HeldFrame& frame, Outbox& out) {
  if (!member.here && member.at == 0) return drop(Drop::not_located);
  // The filter here has let it pass: the one there has not seen what it belongs to.
  if (!member.here) return to_host(segment, member.at, kAnswers | 1U, {frame.bytes, frame.offload}, out);
  const auto scratch = out.scratch(frame.bytes.size());
  if (scratch.empty()) return drop(Drop::crowded);
  std::copy(frame.bytes.begin(), frame.bytes.end(), scratch.begin());
  deliver(segment, member, {scratch, frame.offload}, out);
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
  const auto flags = static_cast<std::uint8_t>(header.hops & kAnswers);
  if (ethernet->destination.is_group()) {
    to_local_ports(now, *segment, 0, flags, frame, out);
    if (segment->bridges(now)) to_lan(now, *segment, flags, frame, out);
    return;
  }
  auto* member = segment->find(ethernet->destination);
  if (!member && !segment->bridges(now)) return drop(Drop::unknown_destination);
  if (!member) return to_lan(now, *segment, flags, frame, out);
  if (member->here) return to_local_member(now, *segment, *member, flags, frame, out);
  stray(now, from, *segment, *member, header.hops, frame, out);
}

void Forwarder::stray(TimePoint now, PeerId from, Segment& segment, Member& member, std::uint8_t hops,
                      const Frame& frame, Outbox& out) {
  if (member.at == 0) return drop(Drop::not_located);
  // Not to the host that it came from: its word is newer than ours.
  if (member.at == from) return drop(Drop::stray);
  if (now >= member.next_correction) {
    member.next_correction = now + kCorrectionEvery;
    send_control(segment, from, {0, Announce{member.instance(), member.location}}, out);
  }
  if (now >= member.forward_until || (hops & ~kAnswers) >= kMostHops) return drop(Drop::stray);
  to_host(segment, member.at, static_cast<std::uint8_t>(hops + 1), frame, out);
}

}  // namespace godwit::overlay
