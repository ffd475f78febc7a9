// The machine's clocks and its random numbers.
#pragma once

#include "sys/clock.h"

namespace godwit::os {

class SystemClock final : public sys::Clock {
 public:
  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] WallTime wall_now() const override;
  [[nodiscard]] sys::Task<void> sleep_until(TimePoint deadline) override;
  [[nodiscard]] sys::Task<void> rest_until(TimePoint deadline) override;
};

// getrandom(2); safe on any thread.
class SystemRandom final : public sys::Random {
 public:
  void fill(ByteSpan out) override;
};

}  // namespace godwit::os
