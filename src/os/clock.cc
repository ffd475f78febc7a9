#include "os/clock.h"

#include "base/assert.h"

#include <sys/random.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace godwit::os {
namespace asio = boost::asio;
namespace {

// A function of its own: a coroutine member would hold `this` across the sleep.
sys::Task<void> sleep_to(TimePoint deadline) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, std::chrono::steady_clock::time_point(deadline.time_since_epoch()));
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

TimePoint SystemClock::now() const { return TimePoint(std::chrono::steady_clock::now().time_since_epoch()); }

WallTime SystemClock::wall_now() const {
  return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

sys::Task<void> SystemClock::sleep_until(TimePoint deadline) { return sleep_to(deadline); }

void SystemRandom::fill(ByteSpan out) {
  while (!out.empty()) {
    const auto count = ::getrandom(out.data(), out.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    GODWIT_ASSERT(count > 0);  // fails only for a bad address or a kernel older than 3.17
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace godwit::os
