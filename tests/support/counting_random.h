// Random numbers for a test: the same in every run.
#pragma once

#include "sys/clock.h"

namespace godwit::testing {

class CountingRandom final : public sys::Random {
 public:
  void fill(ByteSpan out) override {
    for (std::byte& byte : out) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's MMIX
      byte = static_cast<std::byte>(state_ >> 56U);
    }
  }

 private:
  std::uint64_t state_{1};
};

}  // namespace godwit::testing
