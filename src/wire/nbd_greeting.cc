#include "wire/nbd_greeting.h"

#include <algorithm>
#include <string_view>

namespace godwit::wire {
namespace {

constexpr std::string_view kGreeting = "NBDMAGICIHAVEOPT";
constexpr std::size_t kGreetingBytes = 18;  // and 16 bits of flags
constexpr std::size_t kReplyBytes = 20;     // u64 magic, u32 option, u32 type, u32 length
constexpr std::array<std::byte, 8> kReplyMagic{std::byte{0x00}, std::byte{0x03}, std::byte{0xe8}, std::byte{0x89},
                                               std::byte{0x04}, std::byte{0x55}, std::byte{0x65}, std::byte{0xa9}};
constexpr std::uint32_t kOptGo = 7;
constexpr std::uint32_t kRepAck = 1;
constexpr std::uint32_t kRepInfo = 3;
// In the data of NBD_INFO_EXPORT: u16 type (0), u64 size, u16 flags.
constexpr std::uint64_t kFlagsLow = 11;
constexpr std::byte kSendFlush{1U << 2U};
constexpr std::byte kSendFua{1U << 3U};

}  // namespace

void NbdGreeting::pass(std::span<std::byte> bytes) {
  for (auto& byte : bytes) {
    if (state_ == State::done) return;
    take(byte);
  }
}

void NbdGreeting::take(std::byte& byte) {
  if (state_ == State::data) {
    if (at_ < 2 && byte != std::byte{0}) describes_export_ = false;
    if (describes_export_ && at_ == kFlagsLow) byte &= ~(kSendFlush | kSendFua);
    ++at_;
    if (--left_ > 0) return;
    state_ = State::header;
    at_ = 0;
    return;
  }
  header_[at_++] = byte;
  if (state_ == State::hello && at_ == kGreetingBytes) {
    const bool known = std::equal(kGreeting.begin(), kGreeting.end(), header_.begin(),
                                  [](char a, std::byte b) { return static_cast<std::byte>(a) == b; });
    state_ = known ? State::header : State::done;
    at_ = 0;
  } else if (state_ == State::header && at_ == kReplyBytes) {
    end_header();
  }
}

void NbdGreeting::end_header() {
  const auto type = word_at(12);
  const bool known = std::equal(kReplyMagic.begin(), kReplyMagic.end(), header_.begin());
  if (!known || (word_at(8) == kOptGo && type == kRepAck)) {
    state_ = State::done;
    return;
  }
  left_ = word_at(16);
  describes_export_ = type == kRepInfo && left_ > kFlagsLow;
  at_ = 0;
  if (left_ > 0) state_ = State::data;
}

std::uint32_t NbdGreeting::word_at(std::size_t offset) const {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4; ++i) word = word << 8U | std::to_integer<std::uint32_t>(header_[offset + i]);
  return word;
}

}  // namespace godwit::wire
