#include "wire/stream_cut.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit::wire {

void StreamCut::begin(ByteView bytes, std::vector<Stretch>& stretches) {
  rest_ = bytes;
  stretches_ = &stretches;
}

ByteView StreamCut::ahead(std::size_t size) const {
  return begun_bytes_ == 0 && rest_.size() >= size ? rest_.first(size) : ByteView{};
}

ByteView StreamCut::field(std::size_t size, StretchKind kind) {
  GODWIT_ASSERT(size > begun_bytes_ && size <= kMostField_bytes);
  if (const auto whole = ahead(size); !whole.empty()) {
    cover(size, kind, 0);
    return whole;
  }
  const std::size_t taken = std::min(size - begun_bytes_, rest_.size());
  std::copy_n(rest_.begin(), taken, begun_.begin() + static_cast<std::ptrdiff_t>(begun_bytes_));
  cover(taken, StretchKind::other, 0);
  begun_bytes_ += taken;
  if (begun_bytes_ < size) return {};
  begun_bytes_ = 0;
  return ByteView(begun_).first(size);
}

void StreamCut::pass(std::uint64_t& left_bytes, StretchKind kind, std::uint64_t place) {
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_bytes, rest_.size()));
  cover(taken, kind, place);
  left_bytes -= taken;
}

void StreamCut::cover(std::size_t bytes, StretchKind kind, std::uint64_t place) {
  rest_ = rest_.subspan(bytes);
  while (bytes > 0) {  // a feed of more than 4 GiB takes more than one stretch
    const auto part = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX));
    add_stretch(*stretches_, {.kind = kind, .size_bytes = part, .place = place});
    bytes -= part;
  }
}

}  // namespace godwit::wire
