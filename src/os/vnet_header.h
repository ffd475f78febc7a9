// virtio_net_hdr: what stands before each frame of a TAP with IFF_VNET_HDR.
// Source: linux/virtio_net.h, struct virtio_net_hdr, which is no C++ (a field of it is named class); TAPs give it in the
// machine's byte order unless told otherwise.
#pragma once

#include "sys/packet.h"

namespace godwit::os {

struct VnetHeader {
  std::uint8_t flags{0};
  std::uint8_t gso_type{0};
  std::uint16_t header_bytes{0};
  std::uint16_t segment_bytes{0};
  std::uint16_t checksum_start{0};
  std::uint16_t checksum_offset{0};
};
static_assert(sizeof(VnetHeader) == 10);

constexpr std::uint8_t kVnetNeedsChecksum = 1;  // the other flags say what a receiver may skip: nothing to pass on

inline sys::Offload from_vnet(const VnetHeader& header) {
  return {(header.flags & kVnetNeedsChecksum) != 0, header.gso_type,       header.header_bytes,
          header.segment_bytes,                     header.checksum_start, header.checksum_offset};
}

inline VnetHeader to_vnet(const sys::Offload& offload) {
  return {offload.needs_checksum ? kVnetNeedsChecksum : std::uint8_t{0},
          offload.gso,
          offload.header_bytes,
          offload.segment_bytes,
          offload.checksum_start,
          offload.checksum_offset};
}

}  // namespace godwit::os
