#include "overlay/lan.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

using wire::EtherType;

constexpr std::uint16_t kDhcpServerPort = 67;
constexpr std::uint16_t kDhcpClientPort = 68;

ByteView payload_of(ByteView frame) { return frame.subspan(wire::kEthernetHeader); }

// The sender's address where one is said; all zero: none is.
std::optional<wire::Ipv4> sender_of(const wire::EthernetHeader& header, ByteView frame) {
  if (header.type == EtherType::arp) {
    const auto arp = wire::read_arp(payload_of(frame));
    return arp ? std::optional(arp->sender_ip) : std::nullopt;
  }
  if (header.type == EtherType::ipv4) {
    const auto ip = wire::read_ipv4(payload_of(frame));
    return ip ? std::optional(ip->source) : std::nullopt;
  }
  return wire::Ipv4{};
}

bool announce(Segment& segment, const std::string& instance, Outbox& out) {
  const auto* member = segment.find(instance);
  if (!member || member->location.version == 0) return true;
  const auto frame = wire::arp_frame({wire::kBroadcastMac, member->mac, EtherType::arp},
                                     {wire::ArpOperation::request, member->mac, member->ip, {}, member->ip});
  const auto scratch = out.scratch(frame.size());
  std::copy_n(frame.begin(), scratch.size(), scratch.begin());
  return !scratch.empty() && out.to_port(segment.lan_handle, scratch);
}

}  // namespace

bool is_dhcp(const wire::EthernetHeader& header, ByteView frame) {
  if (header.type != EtherType::ipv4) return false;
  const auto ip = wire::read_ipv4(payload_of(frame));
  return ip && (ip->udp_destination_port == kDhcpServerPort || ip->udp_destination_port == kDhcpClientPort);
}

bool asks_for_lan(Segment& segment, const wire::EthernetHeader& header, ByteView frame) {
  if (header.type != EtherType::arp) return false;
  const auto arp = wire::read_arp(payload_of(frame));
  return arp && arp->operation == wire::ArpOperation::request && arp->target_ip != arp->sender_ip &&
         !segment.is_gateway_ip(arp->target_ip) && !segment.find(arp->target_ip);
}

std::optional<Drop> refuse_from_lan(Segment& segment, const wire::EthernetHeader& header, ByteView frame) {
  if (header.source.is_group()) return Drop::malformed;
  if (header.source == segment.gateway() || segment.find(header.source)) return Drop::spoofed_mac;
  if (header.type == EtherType::vlan || header.type == EtherType::service_vlan) return Drop::unsupported;
  if (header.destination.is_link_local() || is_dhcp(header, frame)) return Drop::needless;
  const auto sender = sender_of(header, frame);
  if (!sender) return Drop::malformed;
  if (segment.is_gateway_ip(*sender) || segment.find(*sender)) return Drop::spoofed_ip;
  return std::nullopt;
}

void LanAnnouncer::take(TimePoint now, const Segments& segments) {
  for (const auto& [id, segment] : segments.all()) {
    const auto placed = segment->take_placed();
    if (placed.empty() || !segment->bridges(now)) continue;
    for (const auto after : kAfter) {
      const Due due{now + after, id, placed};
      due_.insert(std::ranges::upper_bound(due_, due.at, {}, &Due::at), due);
    }
  }
}

void LanAnnouncer::poll(TimePoint now, const Segments& segments, Outbox& out, Counters& counters) {
  while (!due_.empty() && due_.front().at <= now) {
    auto* segment = segments.find(due_.front().network);
    if (segment && segment->bridges(now) && segment->lan_handle != 0) {
      for (const auto& instance : due_.front().instances) {
        if (!announce(*segment, instance, out)) counters.drop(Drop::crowded);
      }
    }
    due_.pop_front();
  }
}

std::optional<TimePoint> LanAnnouncer::next_deadline() const {
  return due_.empty() ? std::nullopt : std::optional(due_.front().at);
}

}  // namespace godwit::overlay
