#include "overlay/cut.h"

#include "overlay/headers.h"
#include "overlay/salvage.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

// RFC 1071: the sum of 16-bit words, the last byte of an odd number being a word's first.
std::uint16_t checksum(ByteView bytes) {
  std::uint64_t sum = 0;
  for (; bytes.size() >= 2; bytes = bytes.subspan(2)) sum += load_be16(bytes);
  if (!bytes.empty()) sum += std::to_integer<std::uint64_t>(bytes[0]) << 8U;
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

// What stands in the field is the pseudo-header's sum.
void fill_checksum(ByteSpan frame, const sys::Offload& offload) {
  const std::size_t start = offload.checksum_start;
  const auto at = start + offload.checksum_offset;
  if (!offload.needs_checksum || at + 2 > frame.size()) return;
  const auto sum = checksum(frame.subspan(start));
  const bool udp = offload.checksum_offset == kUdpChecksumAt;  // there 0 means that there is none
  store_be16(frame.subspan(at), udp && sum == 0 ? std::uint16_t{0xffff} : sum);
}

}  // namespace

void cut(ByteView frame, const sys::Offload& offload, const std::function<void(ByteSpan)>& each) {
  ByteVector room;
  if (offload.gso == 0) {
    room.assign(frame.begin(), frame.end());
    fill_checksum(room, offload);
    return each(room);
  }
  const RecordHeader whole{RecordKind::super_frame, 0, 0, frame.size(), offload};
  for (std::size_t at = offload.header_bytes; at < frame.size(); at += offload.segment_bytes) {
    const auto size = std::min<std::size_t>(offload.segment_bytes, frame.size() - at);
    room.assign(frame.begin(), frame.begin() + offload.header_bytes);
    const auto part = salvage(whole, room, at, size);
    if (!part) continue;
    append(room, frame.subspan(part->from, part->size));
    fill_checksum(room, part->offload);
    each(room);
  }
}

}  // namespace godwit::overlay
