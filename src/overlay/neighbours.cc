#include "overlay/neighbours.h"

#include "overlay/source_check.h"

#include <algorithm>
#include <optional>

namespace godwit::overlay {
namespace {

using wire::EtherType;
using wire::Icmpv6Type;

constexpr wire::Mac kNobodysMac{};

// Nobody's where nobody has the address, its owner can't be reached, or it is the asker's own.
template <class Address>
wire::Mac find_owner(Segment& segment, const Asker& asker, const Address& target) {
  if (segment.is_gateway_ip(target)) return asker.port ? segment.gateway() : kNobodysMac;
  const auto* member = segment.find(target);
  if (!member || (asker.port && member->mac == asker.port->mac)) return kNobodysMac;
  // A gateway speaks with guests of its own host only.
  const bool reachable = member->here || (member->at != 0 && (asker.port || asker.lan));
  return reachable ? member->mac : kNobodysMac;
}

void reply(const Asker& asker, ByteView frame, Counters& counters, Outbox& out) {
  const auto scratch = out.scratch(frame.size());
  if (!scratch.empty()) std::ranges::copy(frame, scratch.begin());
  if (scratch.empty() || !out.to_port(asker.handle, scratch)) counters.drop(Drop::crowded);
}

bool answer_arp(Segment& segment, const Asker& asker, const wire::EthernetHeader& header, ByteView frame,
                Counters& counters, Outbox& out) {
  const auto arp = wire::read_arp(frame.subspan(wire::kEthernetHeader));
  if (!arp) {
    counters.drop(Drop::malformed);
    return true;
  }
  if (arp->operation != wire::ArpOperation::request) {
    if (!header.destination.is_group()) return false;
    counters.drop(Drop::needless);
    return true;
  }
  const auto found = find_owner(segment, asker, arp->target_ip);
  if (found == kNobodysMac) {
    // An address that was given to another machine: whoever has talked to it must hear that.
    if (asker.lan && arp->target_ip == arp->sender_ip) return false;
    counters.drop(arp->target_ip == arp->sender_ip ? Drop::needless : Drop::unknown_destination);
    return true;
  }
  reply(asker,
        wire::arp_frame({arp->sender_mac, found, EtherType::arp},
                        {wire::ArpOperation::reply, found, arp->target_ip, arp->sender_mac, arp->sender_ip}),
        counters, out);
  return true;
}

bool answer_solicitation(Segment& segment, const Asker& asker, const wire::EthernetHeader& header,
                         const wire::Ipv6Packet& ip, const wire::Ipv6& target, Counters& counters, Outbox& out) {
  const auto found = find_owner(segment, asker, target);
  if (found != kNobodysMac) {
    // Who asks with no address wants to have it: all shall hear that it is taken.
    const bool probe = ip.source.is_unspecified();
    reply(asker,
          wire::advertisement_frame(probe ? wire::multicast_mac(wire::kAllNodes) : header.source,
                                    probe ? wire::kAllNodes : ip.source, {target, found, false, !probe}),
          counters, out);
    return true;
  }
  if (target.is_link_local() && !wire::mac_of_link_local(target)) return false;
  const bool its_own = asker.port ? owns(segment, *asker.port, target) : segment.is_gateway_ip(target);
  counters.drop(its_own ? Drop::needless : Drop::unknown_destination);
  return true;
}

bool answer_ipv6(Segment& segment, const Asker& asker, const wire::EthernetHeader& header, ByteView packet,
                 Counters& counters, Outbox& out) {
  const auto ip = wire::read_ipv6(packet);
  const auto message = ip ? wire::read_neighbour_message(*ip, packet) : std::nullopt;
  if (!message) return false;
  if (message->type == Icmpv6Type::neighbour_solicitation) {
    return answer_solicitation(segment, asker, header, *ip, message->target, counters, out);
  }
  // To all: that somebody has an address. Where it is, locations say; that it is taken, only its owner knows.
  const bool known = !message->target.is_link_local() || wire::mac_of_link_local(message->target);
  if (!header.destination.is_group() || !known) return false;
  counters.drop(Drop::needless);
  return true;
}

}  // namespace

bool answer_neighbour(Segment& segment, const Asker& asker, const wire::EthernetHeader& header, ByteView frame,
                      Counters& counters, Outbox& out) {
  if (header.type == EtherType::arp) return answer_arp(segment, asker, header, frame, counters, out);
  if (header.type != EtherType::ipv6) return false;
  return answer_ipv6(segment, asker, header, frame.subspan(wire::kEthernetHeader), counters, out);
}

}  // namespace godwit::overlay
