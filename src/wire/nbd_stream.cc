#include "wire/nbd_stream.h"

#include <algorithm>
#include <limits>

namespace godwit::wire {
namespace {

constexpr std::uint32_t kClientFlags = 0x3;                // fixed newstyle, no zeroes
constexpr std::uint64_t kOption = 0x49484156'454f5054ULL;  // "IHAVEOPT"
constexpr std::uint32_t kRequest = 0x25609513;
constexpr std::uint32_t kExtendedRequest = 0x21e41c71;
constexpr std::uint16_t kWrite = 1;
constexpr std::uint16_t kBlockStatus = 7;        // the last command that there is
constexpr std::uint16_t kHasPayload = 1U << 5U;  // NBD_CMD_FLAG_PAYLOAD_LEN, of extended requests
constexpr std::uint64_t kDisk = 1ULL << 63U;
constexpr unsigned kPageBits = 12;

}  // namespace

void NbdStream::feed(ByteView bytes, std::vector<Stretch>& stretches) {
  cut_.begin(bytes, stretches);
  while (!cut_.empty()) step();
}

// Takes at least a byte, or goes on to a state that does.
void NbdStream::step() {
  switch (state_) {
    case State::begin:
    case State::magic: return take_magic();
    case State::option: return take_option();
    case State::request: return take_request();
    case State::skip:
      cut_.pass(left_bytes_);
      if (left_bytes_ == 0) state_ = State::magic;
      return;
    case State::content: return take_content();
    case State::unknown: {
      std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
      cut_.pass(all);
      return;
    }
  }
}

// Options end when the server grants one of them, which isn't seen here: the first request says so.
void NbdStream::take_magic() {
  const auto field = cut_.field(4);
  if (field.empty()) return;
  const auto magic = load_be32(field);
  const bool begins = state_ == State::begin;
  extended_ = magic == kExtendedRequest;
  if (magic == kRequest || extended_) {
    state_ = State::request;
  } else if (begins && (magic & ~kClientFlags) == 0) {
    state_ = State::magic;
  } else if (!begins && !has_requests_ && magic == kOption >> 32U) {
    state_ = State::option;
  } else {
    state_ = State::unknown;
  }
}

// The rest of: u64 magic, u32 option, u32 length.
void NbdStream::take_option() {
  const auto field = cut_.field(12);
  if (field.empty()) return;
  left_bytes_ = load_be32(field.subspan(8));
  state_ = left_bytes_ > 0 ? State::skip : State::magic;
  if (load_be32(field) != static_cast<std::uint32_t>(kOption)) state_ = State::unknown;
}

// The rest of: u32 magic, u16 flags, u16 type, u64 cookie, u64 offset, u32 length (u64 if extended).
void NbdStream::take_request() {
  const auto field = cut_.field(extended_ ? 28 : 24);
  if (field.empty()) return;
  has_requests_ = true;
  const auto flags = load_be16(field);
  const auto type = load_be16(field.subspan(2));
  at_ = load_be64(field.subspan(12));
  const std::uint64_t length_bytes = extended_ ? load_be64(field.subspan(20)) : load_be32(field.subspan(20));
  const bool has_content = type == kWrite;
  const bool has_payload = has_content || (extended_ && (flags & kHasPayload) != 0);
  left_bytes_ = has_payload ? length_bytes : 0;
  part_left_bytes_ = 0;
  state_ = left_bytes_ == 0 ? State::magic : has_content ? State::content : State::skip;
  if (type > kBlockStatus) state_ = State::unknown;
}

void NbdStream::take_content() {
  if (part_left_bytes_ == 0) {
    const std::uint64_t in_page = at_ % kPage_bytes;
    part_left_bytes_ = std::min<std::uint64_t>(left_bytes_, kPage_bytes - in_page);
    part_is_page_ = part_left_bytes_ == kPage_bytes;
    left_bytes_ -= part_left_bytes_;
  }
  if (part_is_page_) {
    cut_.pass(part_left_bytes_, StretchKind::page, kDisk | at_ >> kPageBits);
  } else {
    cut_.pass(part_left_bytes_);
  }
  if (part_left_bytes_ > 0) return;
  at_ = (at_ / kPage_bytes + 1) * kPage_bytes;
  if (left_bytes_ == 0) state_ = State::magic;
}

}  // namespace godwit::wire
