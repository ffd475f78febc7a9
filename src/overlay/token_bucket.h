// So many a second, after so many at once. Pure.
#pragma once

#include "base/time.h"

#include <algorithm>
#include <cstdint>

namespace godwit::overlay {

class TokenBucket {
 public:
  constexpr TokenBucket(std::uint32_t per_second, std::uint32_t burst)
      : per_second_(per_second), burst_(Nanos(Seconds{1}) / per_second * burst) {}

  // False: there are not so many left now, and none is taken. `now` never goes back.
  [[nodiscard]] bool take(TimePoint now, std::size_t count) {
    const auto cost =
        Nanos(Seconds{1}) / per_second_ * static_cast<std::int64_t>(std::min<std::size_t>(count, 1U << 20U));
    const auto empty_at = std::max(empty_at_, now - burst_);
    if (empty_at + cost > now) return false;
    empty_at_ = empty_at + cost;
    return true;
  }

 private:
  std::int64_t per_second_;
  Nanos burst_;
  TimePoint empty_at_{Nanos::min() / 2};  // the tokens are those that came since then
};

}  // namespace godwit::overlay
