// For tests: super-frames as guests make them.
#pragma once

#include "overlay/headers.h"
#include "overlay/record.h"

namespace godwit::overlay::testing {

inline constexpr std::size_t kSegment = 1428;
inline constexpr std::uint32_t kSequence = 0xfffff000;  // wraps within the frame

inline std::uint16_t checksum_of(ByteView bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) sum += load_be16(bytes.subspan(i));
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

struct Super {
  RecordHeader header;
  ByteVector frame;
  std::size_t headers{0};
};

inline void set_addresses(ByteSpan ip, bool ipv4) {
  for (std::size_t i = ipv4 ? 12 : 8; i < (ipv4 ? 20U : 40U); ++i) ip[i] = static_cast<std::byte>(i);
}

// What stands in a checksum that a device is still to fill in.
inline std::uint16_t pseudo_sum(ByteView ip, bool ipv4, bool tcp, std::size_t length) {
  const auto addresses = ipv4 ? ip.subspan(12, 8) : ip.subspan(8, 32);
  const auto sum = checksum_of(addresses) + std::size_t{tcp ? kTcp : kUdp} + length;
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

// As a guest makes them: IP's length and checksum are right, TCP's or UDP's checksum is to be filled in.
inline Super super_frame(bool ipv4, bool tcp, std::size_t payload) {
  const std::size_t ip = ipv4 ? 20 : 40;
  const std::size_t transport = tcp ? 32 : 8;  // TCP with timestamps
  Super out;
  out.headers = 14 + ip + transport;
  out.frame.resize(out.headers + payload);
  ByteSpan at(out.frame);
  store_be16(at.subspan(12), ipv4 ? 0x0800 : 0x86dd);
  const auto ip_at = at.subspan(14);
  set_addresses(ip_at, ipv4);
  ip_at[0] = std::byte{static_cast<unsigned char>(ipv4 ? 0x45 : 0x60)};
  ip_at[ipv4 ? 9 : 6] = std::byte{static_cast<unsigned char>(tcp ? kTcp : kUdp)};
  const auto total = ip + transport + payload;
  if (ipv4) {
    store_be16(ip_at.subspan(2), static_cast<std::uint16_t>(total));
    store_be16(ip_at.subspan(4), 7);
    store_be16(ip_at.subspan(10), static_cast<std::uint16_t>(~checksum_of(ip_at.first(20))));
  } else {
    store_be16(ip_at.subspan(4), static_cast<std::uint16_t>(total - 40));
  }
  const auto transport_at = ip_at.subspan(ip);
  if (tcp) {
    store_be32(transport_at.subspan(4), kSequence);
    transport_at[12] = std::byte{0x80};
    transport_at[13] = std::byte{0x99};  // CWR, ACK, PSH, FIN
  } else {
    store_be16(transport_at.subspan(4), static_cast<std::uint16_t>(transport + payload));
  }
  store_be16(transport_at.subspan(tcp ? kTcpChecksumAt : kUdpChecksumAt),
             pseudo_sum(ip_at, ipv4, tcp, transport + payload));
  for (std::size_t i = 0; i < payload; ++i) out.frame[out.headers + i] = static_cast<std::byte>(i * 7 + i / 256);
  auto& offload = out.header.offload;
  offload.needs_checksum = true;
  offload.gso = static_cast<std::uint8_t>(!tcp ? sys::Gso::udp : ipv4 ? sys::Gso::tcp4 : sys::Gso::tcp6);
  offload.header_bytes = static_cast<std::uint16_t>(out.headers);
  offload.segment_bytes = kSegment;
  offload.checksum_start = static_cast<std::uint16_t>(14 + ip);
  offload.checksum_offset = tcp ? kTcpChecksumAt : kUdpChecksumAt;
  out.header.kind = RecordKind::super_frame;
  out.header.vni = 7;
  out.header.size = out.frame.size();
  return out;
}

}  // namespace godwit::overlay::testing
