// Time and chance as seams: the product never asks the machine for either.
#pragma once

#include "base/bytes.h"
#include "base/time.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

namespace godwit::sys {

using Executor = boost::asio::any_io_executor;

template <class T = void>
using Task = boost::asio::awaitable<T>;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
  [[nodiscard]] virtual WallTime wall_now() const = 0;
  // Cancellable. Returns at once when `deadline` is past.
  [[nodiscard]] virtual Task<void> sleep_until(TimePoint deadline) = 0;
  // The same, but a cancellation ends it without an exception (which would cost microseconds): for one side of a race,
  // whose winner then looks with throw_if_cancelled() (sys/task.h) whether the race itself was cancelled.
  [[nodiscard]] virtual Task<void> rest_until(TimePoint deadline) { return sleep_until(deadline); }
  [[nodiscard]] Task<void> sleep_for(Nanos span) { return sleep_until(now() + span); }
};

class Random {
 public:
  virtual ~Random() = default;
  // Cryptographically strong outside the simulation.
  virtual void fill(ByteSpan out) = 0;
  [[nodiscard]] std::string id(std::string_view prefix);  // see base/id.h
};

}  // namespace godwit::sys
