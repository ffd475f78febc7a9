#include "overlay/offload.h"

#include "overlay/headers.h"

namespace godwit::overlay {
namespace {

std::optional<Drop> check_checksum(const sys::Offload& offload, ByteView frame) {
  const std::size_t at = std::size_t{offload.checksum_start} + offload.checksum_offset;
  const bool inside = offload.checksum_start >= wire::kEthernetHeader && at + 2 <= frame.size();
  return inside ? std::nullopt : std::optional(Drop::malformed);
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
  if (!offload.needs_checksum) return Drop::unsupported;
  const auto headers = find_headers(offload, frame);
  if (!headers) return is_known(offload.gso) ? Drop::malformed : Drop::unsupported;
  if (frame.size() > sys::kFrameLimit) return Drop::malformed;
  const bool checksum_where_it_is = offload.checksum_start == headers->transport &&
                                    offload.checksum_offset == (headers->tcp ? kTcpChecksumAt : kUdpChecksumAt);
  const std::size_t payload = frame.size() - headers->end;
  const bool few = headers->tcp ? offload.segment_bytes >= kLeastTcpSegment
                                : std::size_t{offload.segment_bytes} * kMostUdpSegments >= payload;
  if (!checksum_where_it_is || offload.segment_bytes == 0 || !few) return Drop::malformed;
  if (headers->end + offload.segment_bytes > frame_limit) return Drop::too_big;
  offload.header_bytes = static_cast<std::uint16_t>(headers->end);
  return std::nullopt;
}

std::size_t frames_of(const sys::Offload& offload, ByteView frame) {
  if (offload.gso == 0 || frame.size() <= offload.header_bytes) return 1;
  return (frame.size() - offload.header_bytes + offload.segment_bytes - 1) / offload.segment_bytes;
}

}  // namespace godwit::overlay
