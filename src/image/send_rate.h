// How fast a process gives of its images, all of them together, where somebody has set a limit. Pure.
#pragma once

#include "base/time.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace godwit::image {

class SendRate {
 public:
  static constexpr Millis kAhead{20};  // so much of the rate may go at once

  // In bytes a second; 0: as fast as can be.
  explicit SendRate(std::uint64_t bytes_per_s = 0) : bytes_per_s_(bytes_per_s) {}

  void set(std::uint64_t bytes_per_s) { bytes_per_s_ = bytes_per_s; }
  [[nodiscard]] bool is_limited() const { return bytes_per_s_ > 0; }

  // Nothing: they may go now, and count as gone. Else when to ask again.
  [[nodiscard]] std::optional<TimePoint> take(TimePoint now, std::size_t bytes) {
    if (is_limited() && taken_until_ > now + kAhead) return taken_until_ - kAhead;
    take_anyway(now, bytes);
    return std::nullopt;
  }
  // They go now, and others wait for them.
  void take_anyway(TimePoint now, std::size_t bytes) {
    if (is_limited()) taken_until_ = std::max(now, taken_until_) + span_of(bytes);
  }
  // Of what was taken: it was not sent.
  void give_back(std::size_t bytes) {
    if (is_limited()) taken_until_ -= span_of(bytes);
  }

 private:
  [[nodiscard]] Nanos span_of(std::size_t bytes) const { return Nanos(bytes * 1'000'000'000ULL / bytes_per_s_); }

  std::uint64_t bytes_per_s_;
  TimePoint taken_until_{};
};

}  // namespace godwit::image
