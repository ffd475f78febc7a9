// A clock that stands still while anything can run, then jumps to the next deadline: hours pass in no time.
#pragma once

#include "sys/clock.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace godwit::testing {

class VirtualTime final : public sys::Clock {
 public:
  [[nodiscard]] sys::Executor executor() { return context_.get_executor(); }
  [[nodiscard]] TimePoint now() const override { return now_; }
  [[nodiscard]] WallTime wall_now() const override {
    return WallTime{Seconds{1'700'000'000}} + std::chrono::duration_cast<Millis>(now_.time_since_epoch());
  }

  [[nodiscard]] sys::Task<void> sleep_until(TimePoint deadline) override {
    namespace asio = boost::asio;
    if (deadline <= now_) co_return;
    asio::steady_timer timer(context_, asio::steady_timer::time_point::max());
    const Sleeper self(*this, deadline, timer);
    boost::system::error_code woken;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    const auto cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
    if (cancelled != asio::cancellation_type::none) throw boost::system::system_error(asio::error::operation_aborted);
  }

  // True when `holds` came true within `limit` of virtual time.
  bool run_until(const std::function<bool()>& holds, Nanos limit = Seconds{600}) {
    const auto deadline = now_ + limit;
    while (true) {
      context_.restart();
      context_.poll();
      if (holds()) return true;
      if (sleepers_.empty() || sleepers_.begin()->first > deadline) return false;
      now_ = sleepers_.begin()->first;
      sleepers_.begin()->second->cancel();
      sleepers_.erase(sleepers_.begin());
    }
  }
  void run_for(Nanos span) {
    const auto end = now_ + span;
    (void)run_until([] { return false; }, span);
    now_ = end;
  }

  // The result of a task, which must end within ten minutes of virtual time.
  template <class T>
  T wait(sys::Task<T> task) {
    std::optional<T> result;
    auto keep = [](sys::Task<T> inner, std::optional<T>& out) -> sys::Task<void> { out = co_await std::move(inner); };
    wait(keep(std::move(task), result));
    return std::move(*result);
  }
  void wait(sys::Task<void> task) {
    std::optional<std::exception_ptr> ended;
    boost::asio::co_spawn(context_, std::move(task),
                          [&ended](std::exception_ptr thrown) { ended = std::move(thrown); });
    if (!run_until([&] { return ended.has_value(); })) {
      ADD_FAILURE() << "the task did not end";
      std::exit(1);  // its frame refers to locals of the test
    }
    if (*ended) std::rethrow_exception(*ended);
  }

 private:
  using Sleepers = std::multimap<TimePoint, boost::asio::steady_timer*>;
  struct Sleeper {
    Sleeper(VirtualTime& time, TimePoint deadline, boost::asio::steady_timer& timer) : time_(time), timer_(&timer) {
      time_.sleepers_.emplace(deadline, &timer);
    }
    ~Sleeper() {
      std::erase_if(time_.sleepers_, [this](const auto& each) { return each.second == timer_; });
    }
    VirtualTime& time_;
    boost::asio::steady_timer* timer_;
  };

  TimePoint now_{Seconds{1}};
  Sleepers sleepers_;
  boost::asio::io_context context_{1};  // last: frames that die with it refer to the rest
};

}  // namespace godwit::testing
