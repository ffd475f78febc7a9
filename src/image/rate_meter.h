// How many bytes a second, lately. Pure.
#pragma once

#include "base/time.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace godwit::image {

class RateMeter {
 public:
  static constexpr Millis kStep{50};
  static constexpr Seconds kLongest{1};

  void add(TimePoint now, std::uint64_t bytes) { at(step_of(now)).bytes += bytes; }

  // Of the last `span`, at most kLongest.
  [[nodiscard]] std::uint64_t bytes_per_s(TimePoint now, Nanos span) const {
    const auto last = step_of(now);
    const auto steps = std::clamp<std::int64_t>(span / Nanos(kStep), 1, kSteps - 1);
    std::uint64_t sum = 0;
    for (const auto& each : buckets_) {
      if (each.step > last - steps - 1 && each.step <= last) sum += each.bytes;
    }
    // The step that is under way counts as far as it is over.
    const Nanos covered = Nanos(kStep) * steps + (now.time_since_epoch() - Nanos(kStep) * last);
    return static_cast<std::uint64_t>(static_cast<double>(sum) / to_s(covered));
  }

 private:
  static constexpr std::int64_t kSteps = Nanos(kLongest) / Nanos(kStep) + 2;
  struct Bucket {
    std::int64_t step{-1};
    std::uint64_t bytes{0};
  };
  [[nodiscard]] static std::int64_t step_of(TimePoint now) { return now.time_since_epoch() / Nanos(kStep); }
  Bucket& at(std::int64_t step) {
    auto& bucket = buckets_[static_cast<std::size_t>(step % kSteps)];
    if (bucket.step != step) bucket = {step, 0};
    return bucket;
  }

  std::array<Bucket, static_cast<std::size_t>(kSteps)> buckets_{};
};

}  // namespace godwit::image
