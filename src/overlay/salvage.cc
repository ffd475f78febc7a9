#include "overlay/salvage.h"

#include "overlay/headers.h"
#include "wire/checksum.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr std::size_t kTcpSequence = 4;
constexpr std::size_t kTcpFlags = 13;
constexpr std::byte kFinAndPush{0x09};
constexpr std::byte kCongestionWindowReduced{0x80};
constexpr std::size_t kUdpLength = 4;
constexpr std::size_t kIpv4Length = 2;
constexpr std::size_t kIpv4Id = 4;
constexpr std::size_t kIpv4Checksum = 10;
constexpr std::size_t kIpv4Addresses = 12;
constexpr std::size_t kIpv6Length = 4;
constexpr std::size_t kIpv6Addresses = 8;

// What stands in a checksum field that is still to be filled in: the pseudo-header's sum.
std::uint16_t pseudo_sum(ByteView ip, bool ipv4, std::uint8_t protocol, std::size_t length) {
  const auto addresses = ipv4 ? ip.subspan(kIpv4Addresses, 8) : ip.subspan(kIpv6Addresses, 32);
  return wire::fold_sum(wire::sum_of_words(addresses) + protocol + static_cast<std::uint32_t>(length));
}

void fit_ip(ByteSpan ip, std::size_t ip_header, bool ipv4, std::size_t length, std::size_t segments_before) {
  if (!ipv4) {
    store_be16(ip.subspan(kIpv6Length), static_cast<std::uint16_t>(length - ip_header));
    return;
  }
  store_be16(ip.subspan(kIpv4Length), static_cast<std::uint16_t>(length));
  store_be16(ip.subspan(kIpv4Id), static_cast<std::uint16_t>(load_be16(ip.subspan(kIpv4Id)) + segments_before));
  store_be16(ip.subspan(kIpv4Checksum), 0);
  store_be16(ip.subspan(kIpv4Checksum), wire::checksum_of(ip.first(ip_header)));
}

void fit_tcp(ByteSpan tcp, std::size_t before, bool is_last) {
  store_be32(tcp.subspan(kTcpSequence), load_be32(tcp.subspan(kTcpSequence)) + static_cast<std::uint32_t>(before));
  if (!is_last) tcp[kTcpFlags] &= ~kFinAndPush;
  if (before > 0) tcp[kTcpFlags] &= ~kCongestionWindowReduced;
}

}  // namespace

std::optional<Part> salvage(const RecordHeader& whole, ByteSpan headers, std::size_t from, std::size_t size) {
  const auto found = find_headers(whole.offload, headers);
  if (whole.kind != RecordKind::super_frame || !found || whole.offload.segment_bytes == 0) return std::nullopt;
  const std::size_t segment = whole.offload.segment_bytes;
  auto begin = std::max(from, found->end);
  auto end = std::min(from + size, whole.size);
  begin = found->end + (begin - found->end + segment - 1) / segment * segment;
  if (end < whole.size && end > found->end) end = found->end + (end - found->end) / segment * segment;
  if (begin >= end) return std::nullopt;

  const auto before = begin - found->end;
  const auto ip = headers.subspan(wire::kEthernetHeader);
  const auto ip_header = found->transport - wire::kEthernetHeader;
  const auto transport = headers.subspan(found->transport);
  const auto transport_length = found->end - found->transport + (end - begin);
  fit_ip(ip, ip_header, found->ipv4, ip_header + transport_length, before / segment);
  if (found->tcp) fit_tcp(transport, before, end == whole.size);
  if (!found->tcp) store_be16(transport.subspan(kUdpLength), static_cast<std::uint16_t>(transport_length));
  const std::size_t checksum = found->tcp ? kTcpChecksumAt : kUdpChecksumAt;
  store_be16(transport.subspan(checksum), pseudo_sum(ip, found->ipv4, found->tcp ? kTcp : kUdp, transport_length));

  Part out{whole.offload, begin, end - begin};
  if (out.size <= segment) {
    out.offload.gso = 0;
    out.offload.segment_bytes = 0;
  }
  return out;
}

}  // namespace godwit::overlay
