#include "overlay/offload.h"

#include "wire/ethernet.h"

namespace godwit::overlay {
namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::size_t kLeastTcpHeader = 20;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kIpv6Header = 40;
constexpr std::uint16_t kTcpChecksumAt = 16;
constexpr std::uint16_t kUdpChecksumAt = 6;

// Where the transport header begins, behind which the kernel would cut; nothing for what it can't cut.
std::optional<std::size_t> transport_of(ByteView frame, bool ipv4, std::uint8_t protocol) {
  const auto ethernet = wire::read_ethernet(frame);
  if (!ethernet || ethernet->type != (ipv4 ? wire::EtherType::ipv4 : wire::EtherType::ipv6)) return std::nullopt;
  const auto ip = frame.subspan(wire::kEthernetHeader);
  if (ipv4) {
    const auto header = wire::read_ipv4(ip);
    const bool fragment = header && (load_be16(ip.subspan(6)) & 0x3fffU) != 0;
    if (!header || header->protocol != protocol || fragment) return std::nullopt;
    return wire::kEthernetHeader + (std::to_integer<std::size_t>(ip[0]) & 0xfU) * 4;
  }
  // Extension headers are not followed.
  const bool good = wire::read_ipv6_source(ip) && ip[6] == std::byte{protocol};
  return good ? std::optional(wire::kEthernetHeader + kIpv6Header) : std::nullopt;
}

// Of both headers and Ethernet's.
std::optional<std::size_t> header_bytes_of(ByteView frame, std::size_t transport, bool tcp) {
  if (frame.size() < transport + (tcp ? kLeastTcpHeader : kUdpHeader)) return std::nullopt;
  if (!tcp) return transport + kUdpHeader;
  const std::size_t tcp_header = (std::to_integer<std::size_t>(frame[transport + 12]) >> 4U) * 4;
  if (tcp_header < kLeastTcpHeader || transport + tcp_header > frame.size()) return std::nullopt;
  return transport + tcp_header;
}

std::optional<Drop> check_checksum(const sys::Offload& offload, ByteView frame) {
  const std::size_t at = std::size_t{offload.checksum_start} + offload.checksum_offset;
  const bool inside = offload.checksum_start >= wire::kEthernetHeader && at + 2 <= frame.size();
  return inside ? std::nullopt : std::optional(Drop::malformed);
}

bool is_ipv6(ByteView frame) {
  const auto ethernet = wire::read_ethernet(frame);
  return ethernet && ethernet->type == wire::EtherType::ipv6;
}

}  // namespace

std::optional<Drop> check(sys::Offload& offload, ByteView frame, std::size_t frame_limit) {
  if (offload.gso == 0) {
    if (frame.size() > frame_limit) return Drop::too_big;
    offload.header_bytes = offload.segment_bytes = 0;
    if (offload.needs_checksum) return check_checksum(offload, frame);
    offload = {};
    return std::nullopt;
  }
  const auto kind = static_cast<sys::Gso>(offload.gso & ~sys::kGsoEcn);
  const bool tcp = kind == sys::Gso::tcp4 || kind == sys::Gso::tcp6;
  const bool known = tcp || offload.gso == static_cast<std::uint8_t>(sys::Gso::udp);
  if (!known || !offload.needs_checksum) return Drop::unsupported;
  const bool ipv4 = kind == sys::Gso::tcp4 || (kind == sys::Gso::udp && !is_ipv6(frame));
  const auto transport = transport_of(frame, ipv4, tcp ? kTcp : kUdp);
  const auto headers = transport ? header_bytes_of(frame, *transport, tcp) : std::nullopt;
  if (!headers || frame.size() > sys::kFrameLimit) return Drop::malformed;
  const bool checksum_where_it_is = offload.checksum_start == *transport &&
                                    offload.checksum_offset == (tcp ? kTcpChecksumAt : kUdpChecksumAt);
  const std::size_t payload = frame.size() - *headers;
  const bool few = tcp ? offload.segment_bytes >= kLeastTcpSegment
                       : std::size_t{offload.segment_bytes} * kMostUdpSegments >= payload;
  if (!checksum_where_it_is || offload.segment_bytes == 0 || !few) return Drop::malformed;
  if (*headers + offload.segment_bytes > frame_limit) return Drop::too_big;
  offload.header_bytes = static_cast<std::uint16_t>(*headers);
  return std::nullopt;
}

std::size_t frames_of(const sys::Offload& offload, ByteView frame) {
  if (offload.gso == 0 || frame.size() <= offload.header_bytes) return 1;
  return (frame.size() - offload.header_bytes + offload.segment_bytes - 1) / offload.segment_bytes;
}

}  // namespace godwit::overlay
