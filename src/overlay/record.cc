#include "overlay/record.h"

namespace godwit::overlay {
namespace {

void write_offload(ByteSpan into, const sys::Offload& offload) {
  into[0] = std::byte{offload.needs_checksum};
  into[1] = std::byte{offload.gso};
  store_be16(into.subspan(2), offload.header_bytes);
  store_be16(into.subspan(4), offload.segment_bytes);
  store_be16(into.subspan(6), offload.checksum_start);
  store_be16(into.subspan(8), offload.checksum_offset);
}

std::optional<sys::Offload> read_offload(ByteView bytes) {
  if (bytes[0] > std::byte{1}) return std::nullopt;
  return sys::Offload{bytes[0] == std::byte{1},    std::to_integer<std::uint8_t>(bytes[1]),
                      load_be16(bytes.subspan(2)), load_be16(bytes.subspan(4)),
                      load_be16(bytes.subspan(6)), load_be16(bytes.subspan(8))};
}

}  // namespace

void write_record_header(ByteSpan into, const RecordHeader& header) {
  store_be32(into, static_cast<std::uint32_t>(header.kind) << 24U | static_cast<std::uint32_t>(header.size));
  store_be32(into.subspan(4), header.vni << 8U | header.hops);
  if (header.kind == RecordKind::super_frame) write_offload(into.subspan(kRecordHeader), header.offload);
}

std::optional<RecordHeader> read_record_header(ByteView bytes) {
  if (bytes.size() < kRecordHeader) return std::nullopt;
  const auto kind_and_size = load_be32(bytes);
  const auto vni_and_hops = load_be32(bytes.subspan(4));
  RecordHeader out{static_cast<RecordKind>(kind_and_size >> 24U),
                   static_cast<std::uint8_t>(vni_and_hops),
                   vni_and_hops >> 8U,
                   kind_and_size & 0xff'ffffU,
                   {}};
  const bool known = out.kind >= RecordKind::frame && out.kind <= RecordKind::control;
  if (!known || out.size > kRecordLimit || bytes.size() < out.bytes()) return std::nullopt;
  if (out.kind == RecordKind::super_frame) {
    const auto offload = read_offload(bytes.subspan(kRecordHeader));
    if (!offload) return std::nullopt;
    out.offload = *offload;
  }
  return out;
}

}  // namespace godwit::overlay
