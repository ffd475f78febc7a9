// Where a frame says of which flow it is: addresses, protocol, ports. Bounded by the frame; inline, as it is done for
// every frame, and reads nothing else of it.
#pragma once

#include "wire/ethernet.h"

namespace godwit::wire {

struct FlowFields {
  EtherType type{};  // IPv4's or IPv6's
  std::uint8_t protocol{0};
  bool fragment{false};      // of IPv4: a part of a packet. Of IPv6 the first header is looked at only.
  std::size_t addresses{0};  // where the source's begins; the destination's follows
  std::size_t ports{0};      // likewise of TCP, UDP and SCTP; 0: the frame shows none
};

// Nothing where it is neither IPv4 nor IPv6, or cut short.
[[nodiscard]] inline std::optional<FlowFields> find_flow(ByteView frame) {
  constexpr std::size_t kIpv4Bytes = 20;
  constexpr std::size_t kIpv6Bytes = 40;
  constexpr std::uint8_t kTcp = 6;
  constexpr std::uint8_t kUdp = 17;
  constexpr std::uint8_t kSctp = 132;
  // By pointer: the bounds are looked at below, once.
  const auto byte_at = [bytes = frame.data()](std::size_t at) { return std::to_integer<unsigned>(bytes[at]); };
  if (frame.size() < kEthernetHeader + kIpv4Bytes) return std::nullopt;
  FlowFields out;
  out.type = static_cast<EtherType>(byte_at(12) << 8U | byte_at(13));
  std::size_t transport = 0;  // 0: its header is in another fragment
  const auto version = byte_at(kEthernetHeader) >> 4U;
  if (out.type == EtherType::ipv4) {
    const auto header = (byte_at(kEthernetHeader) & 0xfU) * 4UL;
    if (version != 4 || header < kIpv4Bytes || kEthernetHeader + header > frame.size()) return std::nullopt;
    const auto offset = (byte_at(kEthernetHeader + 6) & 0x1fU) | byte_at(kEthernetHeader + 7);
    out.fragment = offset != 0 || (byte_at(kEthernetHeader + 6) & 0x20U) != 0;
    out.protocol = static_cast<std::uint8_t>(byte_at(kEthernetHeader + 9));
    out.addresses = kEthernetHeader + 12;
    if (offset == 0) transport = kEthernetHeader + header;
  } else if (out.type == EtherType::ipv6) {
    if (version != 6 || frame.size() < kEthernetHeader + kIpv6Bytes) return std::nullopt;
    out.protocol = static_cast<std::uint8_t>(byte_at(kEthernetHeader + 6));
    out.addresses = kEthernetHeader + 8;
    transport = kEthernetHeader + kIpv6Bytes;
  } else {
    return std::nullopt;
  }
  const bool has_ports = out.protocol == kTcp || out.protocol == kUdp || out.protocol == kSctp;
  if (has_ports && transport != 0 && frame.size() >= transport + 4) out.ports = transport;
  return out;
}

}  // namespace godwit::wire
