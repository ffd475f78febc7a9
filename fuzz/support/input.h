// The bytes that a fuzz target is given, taken from the front as what the target needs first.
#pragma once

#include "base/bytes.h"

#include <algorithm>

// What libFuzzer calls, and support/replay.cc where there is none. Each target defines it once.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace godwit::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const std::byte*>(data), size) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] ByteView bytes() const { return rest_; }
  [[nodiscard]] std::string_view text() const { return as_text(rest_); }

  // 0 when there is none left.
  std::uint8_t byte() {
    const auto taken = take(1);
    return taken.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(taken[0]);
  }
  // At most `size`.
  ByteView take(std::size_t size) {
    const auto taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  // Up to the next `end`, which is passed over.
  std::string_view until(char end) {
    const auto found = text().find(end);
    const auto taken = as_text(take(found));
    byte();
    return taken;
  }

 private:
  ByteView rest_;
};

}  // namespace godwit::fuzz
