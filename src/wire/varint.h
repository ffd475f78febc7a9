// Integers of 1 to 10 bytes, 7 bits each, lowest first (LEB128, as in DWARF 4 section 7.6); signed ones in zigzag
// order.
#pragma once

#include "base/bytes.h"

namespace godwit::wire {

inline void append_varint(ByteVector& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U) out.push_back(static_cast<std::byte>(value | 0x80U));
  out.push_back(static_cast<std::byte>(value));
}

inline void append_signed_varint(ByteVector& out, std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  append_varint(out, (bits << 1U) ^ (value < 0 ? ~std::uint64_t{0} : 0));
}

// Reads from the front of bytes that may be anything. Once it has failed it gives zeros.
class VarintReader {
 public:
  explicit VarintReader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] std::uint64_t next() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto each = std::to_integer<std::uint64_t>(rest_.front());
      rest_ = rest_.subspan(1);
      value |= (each & 0x7fU) << shift;
      if (each < 0x80) return value;
    }
    return fail();
  }
  [[nodiscard]] std::int64_t next_signed() {
    const auto bits = next();
    return static_cast<std::int64_t>((bits >> 1U) ^ (~(bits & 1U) + 1U));
  }
  // Empty where fewer are left.
  [[nodiscard]] ByteView take(std::uint64_t size) {
    if (size > rest_.size()) {
      fail();
      return {};
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  [[nodiscard]] ByteView rest() const { return rest_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  std::uint64_t fail() {
    failed_ = true;
    rest_ = {};
    return 0;
  }

  ByteView rest_;
  bool failed_{false};
};

}  // namespace godwit::wire
