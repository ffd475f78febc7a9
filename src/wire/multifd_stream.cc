#include "wire/multifd_stream.h"

#include "wire/memory_place.h"

#include <algorithm>
#include <limits>

namespace godwit::wire {
namespace {

constexpr std::uint32_t kMagic = 0x11223344;
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kInit_bytes = 64;
constexpr std::size_t kPacketBegin_bytes = 12;  // u32 magic, u32 version, u32 flags
constexpr std::size_t kPacketRest_bytes = 320 - kPacketBegin_bytes;
constexpr std::size_t kZeroPages_at = 32 - kPacketBegin_bytes;
constexpr std::size_t kBlockName_at = 64 - kPacketBegin_bytes;  // and zeros up to the end
constexpr std::uint32_t kCompression = 0x1fU << 1U;             // of the flags; 0: none
constexpr std::uint32_t kDeviceState = 32U << 1U;               // since 10.0: another packet
constexpr std::size_t kDeviceRest_bytes = 256 + 4 + 4;

}  // namespace

void MultifdStream::feed(ByteView bytes, std::vector<Stretch>& stretches) {
  cut_.begin(bytes, stretches);
  while (!cut_.empty()) step();
}

// Takes at least a byte, or goes on to a state that does.
void MultifdStream::step() {
  switch (state_) {
    case State::init: return take_init();
    case State::packet_begin: return take_packet_begin();
    case State::packet: return take_packet();
    case State::offsets: return take_offset();
    case State::device_packet: return take_device_packet();
    case State::pages: return take_page();
    case State::skip:
      cut_.pass(left_bytes_);
      if (left_bytes_ == 0) state_ = State::packet_begin;
      return;
    case State::unknown: {
      std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
      cut_.pass(all);
      return;
    }
  }
}

void MultifdStream::take_init() {
  const auto field = cut_.field(kInit_bytes);
  if (field.empty()) return;
  const bool known = load_be32(field) == kMagic && load_be32(field.subspan(4)) == kVersion;
  state_ = known ? State::packet_begin : State::unknown;
}

void MultifdStream::take_packet_begin() {
  const auto field = cut_.field(kPacketBegin_bytes);
  if (field.empty()) return;
  flags_ = load_be32(field.subspan(8));
  state_ = (flags_ & kDeviceState) != 0 ? State::device_packet : State::packet;
  if (load_be32(field) != kMagic || load_be32(field.subspan(4)) != kVersion) state_ = State::unknown;
}

void MultifdStream::take_packet() {
  const auto field = cut_.field(kPacketRest_bytes);
  if (field.empty()) return;
  offsets_ = load_be32(field);
  pages_ = load_be32(field.subspan(4));
  content_bytes_ = load_be32(field.subspan(8));
  const auto zero_pages = load_be32(field.subspan(kZeroPages_at));
  counters_ = std::uint64_t{pages_} + zero_pages;
  const auto name = field.subspan(kBlockName_at);
  block_ = memory_block(name.first(static_cast<std::size_t>(std::ranges::find(name, std::byte{0}) - name.begin())));
  next_ = 0;
  state_ = State::offsets;
  if (offsets_ > kMostPages || pages_ > offsets_) {
    state_ = State::unknown;
  } else if (offsets_ == 0) {
    begin_content();
  }
}

// All offsets are there, in use or not; those of pages that follow, then those of zero pages (since 9.0), go on one
// from the other.
void MultifdStream::take_offset() {
  const auto field = cut_.field(8, next_ < counters_ ? StretchKind::counter : StretchKind::other);
  if (field.empty()) return;
  page_offsets_bytes_[next_++] = load_be64(field);
  if (next_ == offsets_) begin_content();
}

void MultifdStream::take_device_packet() {
  const auto field = cut_.field(kDeviceRest_bytes);
  if (!field.empty()) skip(load_be32(field.subspan(kDeviceRest_bytes - 4)));
}

void MultifdStream::begin_content() {
  next_ = 0;
  if (pages_ == 0) {  // whatever size it says: 7.2 leaves that of an earlier packet in it
    state_ = State::packet_begin;
  } else if ((flags_ & kCompression) == 0 && content_bytes_ == pages_ * kPage_bytes) {
    left_bytes_ = kPage_bytes;
    state_ = State::pages;
  } else {
    skip(content_bytes_);
  }
}

void MultifdStream::take_page() {
  const auto place = memory_place(block_, page_offsets_bytes_[next_]);
  // No QEMU sends a page twice in a row. Pieces of two couldn't be told apart.
  if (next_ > 0 && place == memory_place(block_, page_offsets_bytes_[next_ - 1])) {
    cut_.pass(left_bytes_);
  } else {
    cut_.pass(left_bytes_, StretchKind::page, place);
  }
  if (left_bytes_ > 0) return;
  left_bytes_ = kPage_bytes;
  if (++next_ == pages_) state_ = State::packet_begin;
}

void MultifdStream::skip(std::uint64_t bytes) {
  left_bytes_ = bytes;
  state_ = bytes > 0 ? State::skip : State::packet_begin;
}

}  // namespace godwit::wire
