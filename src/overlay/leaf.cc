#include "overlay/leaf.h"

#include "overlay/cut.h"
#include "wire/checksum.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

using wire::EtherType;

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIcmpHeader = 8;
constexpr std::size_t kQuoted = 8;  // of the packet's payload, in an error about it
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint8_t kIcmp = 1;

ByteView ip_of(ByteView frame) { return frame.subspan(wire::kEthernetHeader); }

void put_mac(ByteSpan at, wire::Mac mac) {
  store_be16(at, static_cast<std::uint16_t>(mac.bits >> 32U));
  store_be32(at.subspan(2), static_cast<std::uint32_t>(mac.bits));
}

void put_ethernet(ByteSpan frame, wire::Mac destination, wire::Mac source) {
  put_mac(frame, destination);
  put_mac(frame.subspan(6), source);
  store_be16(frame.subspan(12), static_cast<std::uint16_t>(EtherType::ipv4));
}

}  // namespace

std::variant<Drop, ByteSpan> frame_from_leaf(Segment& segment, const Port& leaf, ByteView payload, Outbox& out) {
  const auto ip = wire::read_ipv4(payload);
  if (!ip) return payload.empty() || (payload[0] >> 4U) != std::byte{6} ? Drop::malformed : Drop::unsupported;
  const std::size_t length = load_be16(payload.subspan(2));
  if (length < kIpv4Header || length > payload.size()) return Drop::malformed;
  wire::Mac destination;
  if (segment.is_gateway_ip(ip->destination)) {
    destination = segment.gateway();
  } else if (const auto* member = segment.find(ip->destination)) {
    destination = member->mac;
  } else {
    return Drop::unknown_destination;
  }
  const auto frame = out.scratch(wire::kEthernetHeader + length);
  if (frame.empty()) return Drop::crowded;
  put_ethernet(frame, destination, leaf.mac);
  std::ranges::copy(payload.first(length), frame.begin() + wire::kEthernetHeader);
  return frame;
}

std::optional<Drop> packets_for_leaf(ByteView frame, const sys::Offload& offload,
                                     const std::function<void(ByteView)>& each) {
  if (frame.size() < wire::kEthernetHeader || wire::read_ethernet(frame)->type != EtherType::ipv4) {
    return Drop::unsupported;
  }
  const auto longest = offload.gso == 0 ? frame.size() : std::size_t{offload.header_bytes} + offload.segment_bytes;
  if (longest > wire::kEthernetHeader + kLeafMtu) return Drop::too_big;
  cut(frame, offload, [&](ByteSpan one) { each(ip_of(one)); });
  return std::nullopt;
}

ByteSpan too_big_for_leaf(const Port& leaf, ByteView frame, Outbox& out) {
  const auto original = ip_of(frame);
  const auto header = wire::read_ipv4(original);
  if (!header || (load_be16(original.subspan(6)) & kDontFragment) == 0 || header->protocol == kIcmp) return {};
  const std::size_t original_header = (std::to_integer<std::size_t>(original[0]) & 0xfU) * 4;
  const auto quoted = std::min(original_header + kQuoted, original.size()) & ~std::size_t{1};
  const auto told = out.scratch(wire::kEthernetHeader + kIpv4Header + kIcmpHeader + quoted);
  if (told.empty()) return {};
  std::ranges::fill(told, std::byte{0});
  put_ethernet(told, wire::read_ethernet(frame)->source, leaf.mac);
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

void Leaves::update(TimePoint now, const Segments& segments) {
  std::unordered_map<PeerId, Attachment> wanted;
  for (const auto& [id, segment] : segments.all()) {
    for (auto& [instance, port] : segment->ports()) {
      port.leaf = kNobody;
      if (!port.leaf_key) continue;
      port.leaf = seal_.add(now, {*port.leaf_key, {}, Profile::wireguard}, {});
      // A key in two networks would be one session for both: the first has it.
      if (port.leaf != kNobody && !wanted.try_emplace(port.leaf, segment.get(), &port).second) port.leaf = kNobody;
    }
  }
  for (const auto& [peer, leaf] : leaves_) {
    if (!wanted.contains(peer)) seal_.remove(peer);
  }
  leaves_ = std::move(wanted);
}

}  // namespace godwit::overlay
