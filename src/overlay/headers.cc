#include "overlay/headers.h"

namespace godwit::overlay {
namespace {

constexpr std::size_t kLeastTcpHeader = 20;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kIpv6Header = 40;

// Where the transport header begins.
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

std::optional<std::size_t> end_of(ByteView frame, std::size_t transport, bool tcp) {
  if (frame.size() < transport + (tcp ? kLeastTcpHeader : kUdpHeader)) return std::nullopt;
  if (!tcp) return transport + kUdpHeader;
  const std::size_t tcp_header = (std::to_integer<std::size_t>(frame[transport + 12]) >> 4U) * 4;
  if (tcp_header < kLeastTcpHeader || transport + tcp_header > frame.size()) return std::nullopt;
  return transport + tcp_header;
}

bool is_ipv6(ByteView frame) {
  const auto ethernet = wire::read_ethernet(frame);
  return ethernet && ethernet->type == wire::EtherType::ipv6;
}

}  // namespace

std::optional<Headers> find_headers(const sys::Offload& offload, ByteView frame) {
  if (!is_known(offload.gso)) return std::nullopt;
  const auto kind = static_cast<sys::Gso>(offload.gso & ~sys::kGsoEcn);
  Headers out;
  out.tcp = kind != sys::Gso::udp;
  out.ipv4 = kind == sys::Gso::tcp4 || (kind == sys::Gso::udp && !is_ipv6(frame));
  const auto transport = transport_of(frame, out.ipv4, out.tcp ? kTcp : kUdp);
  const auto end = transport ? end_of(frame, *transport, out.tcp) : std::nullopt;
  if (!end) return std::nullopt;
  out.transport = *transport;
  out.end = *end;
  return out;
}

}  // namespace godwit::overlay
