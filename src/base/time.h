// Points and spans of time, with the unit in the type.
#pragma once

#include <chrono>

namespace godwit {

using Nanos = std::chrono::nanoseconds;
using Millis = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;

// A monotonic clock's epoch means nothing; only differences do. Nobody calls now() on it: a sys::Clock is passed.
struct Monotonic {
  using duration = Nanos;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};
using TimePoint = Monotonic::time_point;

// Wall-clock time, for expiry dates and what people read.
using WallTime = std::chrono::sys_time<Millis>;

[[nodiscard]] constexpr double to_ms(Nanos span) { return static_cast<double>(span.count()) / 1e6; }
[[nodiscard]] constexpr double to_s(Nanos span) { return static_cast<double>(span.count()) / 1e9; }

}  // namespace godwit
