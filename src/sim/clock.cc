#include "sim/clock.h"

#include "sys/task.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace godwit::sim {
namespace asio = boost::asio;

// An asio timer that never fires by itself: the world's time cancels it. So asio's own cancellation works as ever.
class SimClock::Sleeper {
 public:
  Sleeper(SimClock& clock, const sys::Executor& executor, TimePoint deadline)
      : timer(executor, asio::steady_timer::time_point::max()),
        clock_(clock),
        place_(clock.sleepers_.emplace(deadline, this)) {}
  ~Sleeper() {
    if (!woken_) clock_.sleepers_.erase(place_);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  void wake() {
    woken_ = true;
    clock_.sleepers_.erase(place_);
    timer.cancel();
  }

  asio::steady_timer timer;

 private:
  SimClock& clock_;
  std::multimap<TimePoint, Sleeper*>::iterator place_;
  bool woken_{false};
};

sys::Task<void> SimClock::sleep_until(TimePoint deadline) { return sleep(*this, deadline); }

sys::Task<void> SimClock::rest_until(TimePoint deadline) { return rest(*this, deadline); }

sys::Task<void> SimClock::rest(SimClock& clock, TimePoint deadline) {
  if (deadline <= clock.now()) co_return;
  const auto executor = co_await asio::this_coro::executor;
  Sleeper sleeper(clock, executor, deadline);
  boost::system::error_code woken;  // always operation_aborted
  co_await sleeper.timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

sys::Task<void> SimClock::sleep(SimClock& clock, TimePoint deadline) {
  co_await rest(clock, deadline);
  co_await sys::throw_if_cancelled();
}

TimePoint SimClock::next_deadline() const { return sleepers_.empty() ? TimePoint::max() : sleepers_.begin()->first; }

void SimClock::wake(TimePoint now) {
  while (!sleepers_.empty() && sleepers_.begin()->first <= now) sleepers_.begin()->second->wake();
}

}  // namespace godwit::sim
