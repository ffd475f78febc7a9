#include "wire/ram_records.h"

#include "wire/memory_place.h"

#include <bit>
#include <utility>

namespace godwit::wire {
namespace {

constexpr std::uint64_t kFlags = kPage_bytes - 1;
constexpr std::uint32_t kZero = 0x02;
constexpr std::uint32_t kMemSize = 0x04;
constexpr std::uint32_t kPage = 0x08;
constexpr std::uint32_t kEnd = 0x10;
constexpr std::uint32_t kContinue = 0x20;
constexpr std::uint32_t kXbzrle = 0x40;
constexpr std::uint32_t kHook = 0x80;           // RDMA: the head is all
constexpr std::uint32_t kCompressed = 0x100;    // until 9.0
constexpr std::uint32_t kMultifdFlush = 0x200;  // since 8.1: the head is all
constexpr std::uint32_t kOfPage = kZero | kPage | kXbzrle | kCompressed;
constexpr std::uint32_t kKinds = kOfPage | kMemSize | kEnd | kHook | kMultifdFlush;
// zlib's compressBound() of a page is 4117.
constexpr std::uint32_t kMostCompressed_bytes = 2 * kPage_bytes;

std::uint32_t kind_of(std::uint64_t head) {
  return static_cast<std::uint32_t>(head & kFlags & ~std::uint64_t{kContinue});
}

bool is_of_page(std::uint64_t head) {
  const auto kind = kind_of(head);
  return std::has_single_bit(kind) && (kind & kOfPage) != 0;
}

}  // namespace

Step RamRecords::step(StreamCut& cut) {
  switch (state_) {
    case State::head: return take_head(cut);
    case State::block_name_length:
    case State::block_name: take_block_name(cut); return Step::more;
    case State::body: return take_body(cut);
    case State::content: take_content(cut); return Step::more;
    default: return take_sizes(cut);
  }
}

Step RamRecords::take_head(StreamCut& cut) {
  // The others say nothing of the next page: the counter goes on behind them as if they weren't there.
  const auto ahead = cut.ahead(8);
  const bool counts = !ahead.empty() && is_of_page(load_be64(ahead));
  const auto field = cut.field(8, counts ? StretchKind::counter : StretchKind::other);
  return field.empty() ? Step::more : begin_record(load_be64(field));
}

Step RamRecords::begin_record(std::uint64_t head) {
  const bool may_be_page_size = std::exchange(sizes_ended_, false);
  kind_ = kind_of(head);
  // Postcopy: the page size of the last block, where that is not the host's. No record is without flags.
  if (may_be_page_size && (head & kFlags) == 0 && std::has_single_bit(head)) return Step::more;
  if (!std::has_single_bit(kind_) || (kind_ & kKinds) == 0) return lose();
  offset_bytes_ = head & ~kFlags;
  if (kind_ == kEnd) return Step::done;
  if (kind_ == kMemSize) {
    sizes_left_bytes_ = offset_bytes_;
    end_size();
  } else if ((kind_ & kOfPage) != 0) {
    state_ = (head & kContinue) != 0 ? State::body : State::block_name_length;
  }
  return Step::more;
}

void RamRecords::take_block_name(StreamCut& cut) {
  if (state_ == State::block_name_length) {
    const auto length = cut.field(1);
    name_bytes_ = std::to_integer<std::size_t>(length.front());
    block_ = memory_block({});
    state_ = name_bytes_ > 0 ? State::block_name : State::body;
  } else if (const auto name = cut.field(name_bytes_); !name.empty()) {
    block_ = memory_block(name);
    state_ = State::body;
  }
}

// What precedes the content, and how long that is.
Step RamRecords::take_body(StreamCut& cut) {
  if (kind_ == kPage) {
    left_bytes_ = kPage_bytes;
    take_content(cut);
  } else if (kind_ == kZero) {
    static_cast<void>(cut.field(1));
    state_ = State::head;
  } else if (kind_ == kXbzrle) {
    const auto field = cut.field(3);  // u8 encoding, u16 length
    if (field.empty()) return Step::more;
    left_bytes_ = load_be16(field.subspan(1));
    state_ = left_bytes_ > 0 ? State::content : State::head;
  } else {
    const auto field = cut.field(4);
    if (field.empty()) return Step::more;
    left_bytes_ = load_be32(field);
    if (left_bytes_ > kMostCompressed_bytes) return lose();
    state_ = left_bytes_ > 0 ? State::content : State::head;
  }
  return Step::more;
}

void RamRecords::take_content(StreamCut& cut) {
  if (kind_ == kPage) {
    cut.pass(left_bytes_, StretchKind::page, memory_place(block_, offset_bytes_));
  } else {
    cut.pass(left_bytes_);
  }
  state_ = left_bytes_ > 0 ? State::content : State::head;
}

// The list of blocks in the first section: u8 length, name, u64 bytes; then perhaps u64 page size, u64 address.
Step RamRecords::take_sizes(StreamCut& cut) {
  switch (state_) {
    case State::size_name_length: {
      if (cut.front() == std::byte{0}) {  // no block is without a name: the page size of the one before
        state_ = State::size_page;
        return Step::more;
      }
      name_bytes_ = std::to_integer<std::size_t>(cut.field(1).front());
      state_ = State::size_name;
      return Step::more;
    }
    case State::size_name:
      if (!cut.field(name_bytes_).empty()) state_ = State::size_length;
      return Step::more;
    case State::size_length: return take_size_length(cut);
    case State::size_page: {
      const auto field = cut.field(8);
      if (field.empty()) return Step::more;
      state_ = State::size_name_length;
      return std::has_single_bit(load_be64(field)) ? Step::more : lose();
    }
    default:
      if (!cut.field(8).empty()) end_size();
      return Step::more;
  }
}

Step RamRecords::take_size_length(StreamCut& cut) {
  const auto field = cut.field(8);
  if (field.empty()) return Step::more;
  const auto length_bytes = load_be64(field);
  if (length_bytes > sizes_left_bytes_) return lose();
  sizes_left_bytes_ -= length_bytes;
  if (has_addresses_) {
    state_ = State::size_address;
  } else {
    end_size();
  }
  return Step::more;
}

void RamRecords::end_size() {
  sizes_ended_ = sizes_left_bytes_ == 0;
  state_ = sizes_ended_ ? State::head : State::size_name_length;
}

Step RamRecords::lose() {
  state_ = State::head;
  sizes_ended_ = false;
  return Step::lost;
}

}  // namespace godwit::wire
