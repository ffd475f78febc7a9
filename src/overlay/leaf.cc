#include "overlay/leaf.h"

#include "overlay/cut.h"
#include "wire/checksum.h"
#include "wire/ipv6.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

using wire::EtherType;

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIcmpHeader = 8;
constexpr std::size_t kQuoted = 8;           // of the packet's payload, in an error about it
constexpr std::size_t kQuoted6 = 512;        // of the packet; RFC 4443 lets it be as much as 1232
constexpr unsigned kFirstInformation = 128;  // smaller types of ICMPv6 are errors
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint8_t kIcmp = 1;

ByteView ip_of(ByteView frame) { return frame.subspan(wire::kEthernetHeader); }

void put_mac(ByteSpan at, wire::Mac mac) {
  store_be16(at, static_cast<std::uint16_t>(mac.bits >> 32U));
  store_be32(at.subspan(2), static_cast<std::uint32_t>(mac.bits));
}

void put_ethernet(ByteSpan frame, wire::Mac destination, wire::Mac source, EtherType type) {
  put_mac(frame, destination);
  put_mac(frame.subspan(6), source);
  store_be16(frame.subspan(12), static_cast<std::uint16_t>(type));
}

// What of a leaf's packet stands in its header.
struct Packet {
  EtherType type{};
  std::size_t length{0};
  std::optional<wire::Mac> next;  // whose frame it becomes; none: no member has the address
};

template <class Address>
std::optional<wire::Mac> owner_of(Segment& segment, const Address& address) {
  if (segment.is_gateway_ip(address)) return segment.gateway();
  const auto* member = segment.find(address);
  return member ? std::optional(member->mac) : std::nullopt;
}

std::optional<Packet> read_packet(Segment& segment, ByteView payload) {
  if (payload.empty()) return std::nullopt;
  Packet out;
  if ((payload[0] >> 4U) == std::byte{6}) {
    const auto ip = wire::read_ipv6(payload);
    if (!ip) return std::nullopt;
    out = {EtherType::ipv6, wire::kIpv6Header + load_be16(payload.subspan(4)), owner_of(segment, ip->destination)};
    if (out.length < ip->payload) return std::nullopt;
  } else {
    const auto ip = wire::read_ipv4(payload);
    if (!ip) return std::nullopt;
    out = {EtherType::ipv4, load_be16(payload.subspan(2)), owner_of(segment, ip->destination)};
    if (out.length < kIpv4Header) return std::nullopt;
  }
  return out.length <= payload.size() ? std::optional(out) : std::nullopt;
}

ByteSpan too_big_ipv4(const Port& leaf, ByteView frame, Outbox& out) {
  const auto original = ip_of(frame);
  const auto header = wire::read_ipv4(original);
  if (!header || (load_be16(original.subspan(6)) & kDontFragment) == 0 || header->protocol == kIcmp) return {};
  const std::size_t original_header = (std::to_integer<std::size_t>(original[0]) & 0xfU) * 4;
  const auto quoted = std::min(original_header + kQuoted, original.size()) & ~std::size_t{1};
  const auto told = out.scratch(wire::kEthernetHeader + kIpv4Header + kIcmpHeader + quoted);
  if (told.empty()) return {};
  std::ranges::fill(told, std::byte{0});
  put_ethernet(told, wire::read_ethernet(frame)->source, leaf.mac, EtherType::ipv4);
  const auto ip = told.subspan(wire::kEthernetHeader);
  ip[0] = std::byte{0x45};
  store_be16(ip.subspan(2), static_cast<std::uint16_t>(ip.size()));
  ip[8] = std::byte{64};
  ip[9] = std::byte{kIcmp};
  store_be32(ip.subspan(12), leaf.ip.bits);
  store_be32(ip.subspan(16), header->source.bits);
  store_be16(ip.subspan(10), wire::checksum_of(ip.first(kIpv4Header)));
  const auto icmp = ip.subspan(kIpv4Header);
  icmp[0] = std::byte{3};  // unreachable: fragmentation needed
  icmp[1] = std::byte{4};
  store_be16(icmp.subspan(6), kLeafMtu);
  std::ranges::copy(original.first(quoted), icmp.begin() + kIcmpHeader);
  store_be16(icmp.subspan(2), wire::checksum_of(icmp));
  return told;
}

ByteSpan too_big_ipv6(const Port& leaf, wire::Ipv6 from, ByteView frame, Outbox& out) {
  const auto original = ip_of(frame);
  const auto header = wire::read_ipv6(original);
  if (!header || header->destination.is_multicast() || header->source.is_unspecified()) return {};
  const bool is_error = header->protocol == wire::kIcmpv6 && header->fragment_at == 0 &&
                        header->payload < original.size() &&
                        std::to_integer<unsigned>(original[header->payload]) < kFirstInformation;
  if (is_error) return {};
  const auto quoted = std::min(kQuoted6, original.size()) & ~std::size_t{1};
  const auto told = out.scratch(wire::kEthernetHeader + wire::kIpv6Header + kIcmpHeader + quoted);
  if (told.empty()) return {};
  std::ranges::fill(told, std::byte{0});
  put_ethernet(told, wire::read_ethernet(frame)->source, leaf.mac, EtherType::ipv6);
  const auto ip = told.subspan(wire::kEthernetHeader);
  const auto icmp = ip.subspan(wire::kIpv6Header);
  ip[0] = std::byte{0x60};
  store_be16(ip.subspan(4), static_cast<std::uint16_t>(icmp.size()));
  ip[6] = std::byte{wire::kIcmpv6};
  ip[7] = std::byte{64};
  wire::store_ipv6(ip.subspan(8), from);
  wire::store_ipv6(ip.subspan(24), header->source);
  icmp[0] = std::byte{2};  // packet too big
  store_be32(icmp.subspan(4), kLeafMtu);
  std::ranges::copy(original.first(quoted), icmp.begin() + kIcmpHeader);
  store_be16(icmp.subspan(2), wire::icmpv6_checksum(ip.subspan(8, 32), icmp));
  return told;
}

}  // namespace

std::variant<Drop, ByteSpan> frame_from_leaf(Segment& segment, const Port& leaf, ByteView payload, Outbox& out) {
  const auto packet = read_packet(segment, payload);
  if (!packet) return Drop::malformed;
  if (!packet->next) return Drop::unknown_destination;
  const auto frame = out.scratch(wire::kEthernetHeader + packet->length);
  if (frame.empty()) return Drop::crowded;
  put_ethernet(frame, *packet->next, leaf.mac, packet->type);
  std::ranges::copy(payload.first(packet->length), frame.begin() + wire::kEthernetHeader);
  return frame;
}

std::optional<Drop> packets_for_leaf(ByteView frame, const sys::Offload& offload,
                                     const std::function<void(ByteView)>& each) {
  if (frame.size() < wire::kEthernetHeader) return Drop::unsupported;
  const auto type = wire::read_ethernet(frame)->type;
  if (type != EtherType::ipv4 && type != EtherType::ipv6) return Drop::unsupported;
  const auto longest = offload.gso == 0 ? frame.size() : std::size_t{offload.header_bytes} + offload.segment_bytes;
  if (longest > wire::kEthernetHeader + kLeafMtu) return Drop::too_big;
  cut(frame, offload, [&](ByteSpan one) { each(ip_of(one)); });
  return std::nullopt;
}

ByteSpan too_big_for_leaf(const Segment& segment, const Port& leaf, ByteView frame, Outbox& out) {
  if (wire::read_ethernet(frame)->type == EtherType::ipv4) return too_big_ipv4(leaf, frame, out);
  const auto from = segment.ipv6_of(leaf.ip);
  return from ? too_big_ipv6(leaf, *from, frame, out) : ByteSpan{};
}

void Leaves::update(TimePoint now, const Segments& segments) {
  std::unordered_map<PeerId, Attachment> wanted;
  for (const auto& [id, segment] : segments.all()) {
    for (auto& [instance, port] : segment->ports()) {
      port.leaf = kNobody;
      if (!port.leaf_key) continue;
      // Who registers that key would end the sessions with its owner.
      if (seal_.profile_of(*port.leaf_key) == Profile::native) continue;
      port.leaf = seal_.add(now, {*port.leaf_key, {}, Profile::wireguard}, {});
      // A key in two networks would be one session for both: the first has it.
      if (port.leaf != kNobody && !wanted.try_emplace(port.leaf, segment.get(), &port).second) port.leaf = kNobody;
    }
  }
  for (const auto& [peer, leaf] : leaves_) {
    const auto view = seal_.view(now, peer);
    if (!wanted.contains(peer) && view && view->profile == Profile::wireguard) seal_.remove(peer);
  }
  leaves_ = std::move(wanted);
}

}  // namespace godwit::overlay
