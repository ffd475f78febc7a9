#include "overlay/cut.h"

#include "overlay/headers.h"
#include "overlay/salvage.h"
#include "wire/checksum.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

// What stands in the field is the pseudo-header's sum.
void fill_checksum(ByteSpan frame, const sys::Offload& offload) {
  const std::size_t start = offload.checksum_start;
  const auto at = start + offload.checksum_offset;
  if (!offload.needs_checksum || at + 2 > frame.size()) return;
  const auto sum = wire::checksum_of(frame.subspan(start));
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
