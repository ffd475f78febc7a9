#include "os/clock.h"

#include "base/assert.h"
#include "sys/task.h"

#include <sys/random.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace godwit::os {
namespace asio = boost::asio;
namespace {

// Functions of their own: coroutine members would hold `this` across the sleep.
sys::Task<void> rest_to(TimePoint deadline) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, std::chrono::steady_clock::time_point(deadline.time_since_epoch()));
  boost::system::error_code woken;  // operation_aborted when cancelled
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

sys::Task<void> sleep_to(TimePoint deadline) {
  co_await rest_to(deadline);
  co_await sys::throw_if_cancelled();
}

}  // namespace

TimePoint SystemClock::now() const { return TimePoint(std::chrono::steady_clock::now().time_since_epoch()); }

WallTime SystemClock::wall_now() const {
  return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

sys::Task<void> SystemClock::sleep_until(TimePoint deadline) { return sleep_to(deadline); }
sys::Task<void> SystemClock::rest_until(TimePoint deadline) { return rest_to(deadline); }

void SystemRandom::fill(ByteSpan out) {
  while (!out.empty()) {
    const auto count = ::getrandom(out.data(), out.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    GODWIT_ASSERT(count > 0);  // fails only for a bad address or a kernel older than 3.17
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace godwit::os
