#include "overlay/slicer.h"

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace godwit::overlay {

void Slicer::begin(std::size_t datagram_bytes) {
  GODWIT_ASSERT(datagram_bytes >= 256 && runs_.empty());
  datagram_bytes_ = datagram_bytes;
}

bool Slicer::has_memory_for(std::size_t record_bytes) const {
  const auto slices = record_bytes / slice_room() + 2;
  return slices * datagram_bytes_ <= memory_->left();
}

bool Slicer::append(const RecordHeader& header, ByteView payload) {
  GODWIT_ASSERT(header.size == payload.size() && header.size <= kRecordLimit);
  if (!has_memory_for(header.bytes() + payload.size())) return false;
  const auto beginning = header.bytes() + std::min(payload.size(), kLeastBeginning);
  if (room_ < beginning) {
    pad();
    begin_slice(0);
  }
  write_record_header({at_, header.bytes()}, header);
  at_ += header.bytes();
  room_ -= header.bytes();
  while (!payload.empty()) {
    if (room_ == 0) begin_slice(payload.size());
    const auto part = std::min(room_, payload.size());
    std::memcpy(at_, payload.data(), part);
    at_ += part;
    room_ -= part;
    payload = payload.subspan(part);
  }
  return true;
}

void Slicer::begin_slice(std::size_t continued) {
  const auto memory = memory_->take(datagram_bytes_);
  const bool adjacent = !runs_.empty() && runs_.back().begin + runs_.back().size == memory.data();
  const bool fits = adjacent && runs_.back().size / datagram_bytes_ < sys::kMostSegments &&
                    runs_.back().size + datagram_bytes_ <= sys::kMostSegmentBytes;
  if (fits) {
    runs_.back().size += datagram_bytes_;
  } else {
    runs_.push_back({memory.data(), datagram_bytes_});
  }
  room_ = slice_room();
  store_be16(memory.subspan(kSealHeader), static_cast<std::uint16_t>(std::min(continued, room_)));
  at_ = memory.data() + kSealHeader + kSliceHeader;
}

// What lay here before was another's.
void Slicer::pad() {
  if (room_ > 0) std::memset(at_, 0, room_);
  room_ = 0;
}

void Slicer::finish() {
  if (runs_.empty()) return;
  runs_.back().size -= room_;
  room_ = 0;
}

void Slicer::clear() {
  runs_.clear();
  at_ = nullptr;
  room_ = 0;
}

}  // namespace godwit::overlay
