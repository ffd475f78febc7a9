// Puts a frame together, field by field, behind its length, which is known when all is written. What ByteReader reads.
#pragma once

#include "base/assert.h"
#include "base/bytes.h"

#include <utility>

namespace godwit {

class FrameWriter {
 public:
  static constexpr std::size_t kLength_bytes = 4;
  static constexpr std::size_t kShortText_bytes = 255;

  // The length does not count the first `uncounted_bytes` of the frame: itself, or all of a longer head.
  explicit FrameWriter(std::size_t uncounted_bytes = kLength_bytes) : uncounted_bytes_(uncounted_bytes) {
    append_be32(frame_, 0);
  }

  void byte(std::uint8_t value) { frame_.push_back(std::byte{value}); }
  template <class Word>
  void word(Word value) {
    byte(static_cast<std::uint8_t>(value));
  }
  void be16(std::uint16_t value) { append_be16(frame_, value); }
  void be32(std::uint32_t value) { append_be32(frame_, value); }
  void be64(std::uint64_t value) { append_be64(frame_, value); }
  void bytes(ByteView value) { append(frame_, value); }
  // One byte of length, then the text. One that is longer is the caller's mistake.
  void short_text(std::string_view text) {
    GODWIT_ASSERT(text.size() <= kShortText_bytes);
    byte(static_cast<std::uint8_t>(text.size()));
    bytes(as_bytes(text));
  }

  // The whole of it, once.
  [[nodiscard]] ByteVector take() {
    GODWIT_ASSERT(frame_.size() >= uncounted_bytes_ && frame_.size() - uncounted_bytes_ <= UINT32_MAX);
    store_be32(frame_, static_cast<std::uint32_t>(frame_.size() - uncounted_bytes_));
    return std::exchange(frame_, {});
  }

 private:
  ByteVector frame_;
  std::size_t uncounted_bytes_;
};

}  // namespace godwit
