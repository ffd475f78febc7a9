// Takes fields off the front of bytes of others. Once one was not there, or can't be meant, all the rest are empty or
// 0: so a format is read straight through, and asked once at its end whether it was whole.
#pragma once

#include "base/bytes.h"

#include <algorithm>
#include <array>

namespace godwit {

// Borrows the bytes.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] ByteView take(std::size_t size) {
    refuse_unless(size <= rest_.size());
    if (!whole_) return {};
    const auto out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  [[nodiscard]] std::uint8_t byte() {
    const auto bytes = take(1);
    return whole_ ? std::to_integer<std::uint8_t>(bytes[0]) : std::uint8_t{0};
  }
  [[nodiscard]] std::uint16_t be16() {
    const auto bytes = take(2);
    return whole_ ? load_be16(bytes) : std::uint16_t{0};
  }
  [[nodiscard]] std::uint32_t be24() {
    const auto bytes = take(3);
    return whole_ ? static_cast<std::uint32_t>(std::to_integer<unsigned>(bytes[0]) << 16U) | load_be16(bytes.subspan(1))
                  : 0;
  }
  [[nodiscard]] std::uint32_t be32() {
    const auto bytes = take(4);
    return whole_ ? load_be32(bytes) : 0;
  }
  [[nodiscard]] std::uint64_t be64() {
    const auto bytes = take(8);
    return whole_ ? load_be64(bytes) : 0;
  }
  // 0 or 1.
  [[nodiscard]] bool flag() {
    const auto value = byte();
    refuse_unless(value <= 1);
    return value == 1;
  }
  // One of those from 1 to `last`.
  template <class Word>
  [[nodiscard]] Word word(Word last) {
    const auto value = byte();
    refuse_unless(value != 0 && value <= static_cast<std::uint8_t>(last));
    return static_cast<Word>(value);
  }
  template <std::size_t size>
  void into(std::array<std::byte, size>& out) {
    const auto bytes = take(size);
    if (whole_) std::ranges::copy(bytes, out.begin());
  }
  [[nodiscard]] std::string text(std::size_t size) { return std::string(as_text(take(size))); }
  // One byte of length, then so many bytes.
  [[nodiscard]] std::string short_text() { return text(byte()); }

  // All that is left.
  [[nodiscard]] ByteView rest() { return take(rest_.size()); }

  // What was taken can't be meant unless this holds.
  void refuse_unless(bool holds) {
    if (holds) return;
    whole_ = false;
    rest_ = {};
  }

  [[nodiscard]] std::size_t left_bytes() const { return rest_.size(); }
  [[nodiscard]] bool is_whole() const { return whole_; }  // so far
  // Every field was there, and nothing is left over.
  [[nodiscard]] bool ended_in_order() const { return whole_ && rest_.empty(); }

 private:
  ByteView rest_;
  bool whole_{true};
};

}  // namespace godwit
