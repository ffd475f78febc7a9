#include "sys/task.h"

#include "support/event_loop.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace godwit::sys {
namespace {

class IdleClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return {}; }
  [[nodiscard]] WallTime wall_now() const override { return {}; }
  [[nodiscard]] Task<void> sleep_until(TimePoint) override { return forever(); }
  [[nodiscard]] Task<void> rest_until(TimePoint) override { return quietly_forever(); }

 private:
  static Task<void> forever() {
    const auto executor = co_await boost::asio::this_coro::executor;
    boost::asio::steady_timer timer(executor, boost::asio::steady_timer::time_point::max());
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
  static Task<void> quietly_forever() {
    const auto executor = co_await boost::asio::this_coro::executor;
    boost::asio::steady_timer timer(executor, boost::asio::steady_timer::time_point::max());
    boost::system::error_code ended;
    co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ended));
  }
};

TEST(Gate, ClosesOverATaskThatWaitsWithALimit) {
  testing::EventLoop loop;
  auto story = [](Executor executor) -> Task<void> {
    IdleClock clock;
    Signal never(executor);
    Gate gate(executor);
    auto job = [](Clock& time, Signal& signal) -> Task<void> {
      auto wait = [](Signal& on) -> Task<Result<>> {
        co_await on.wait();
        co_return Result<>{};
      };
      const auto result = co_await within(time, Seconds(1), "wait", wait(signal));
      ADD_FAILURE() << "both sides of the race were cancelled, yet it gave a result";
    };
    gate.spawn(job(clock, never));
    EXPECT_EQ(gate.running(), 1U);
    co_await boost::asio::post(executor, boost::asio::use_awaitable);
    co_await gate.close();
    EXPECT_EQ(gate.running(), 0U);
  };
  loop.run(story(loop.executor()));
}

TEST(Signal, WaitWithADeadlineEndsWhenNotified) {
  testing::EventLoop loop;
  auto story = [](Executor executor) -> Task<void> {
    IdleClock clock;
    Signal signal(executor);
    Gate gate(executor);
    bool woken = false;
    auto job = [](Clock& time, Signal& on, bool& done) -> Task<void> {
      co_await on.wait_until(time, TimePoint(Seconds(1)));
      done = true;
    };
    gate.spawn(job(clock, signal, woken));
    co_await boost::asio::post(executor, boost::asio::use_awaitable);
    EXPECT_FALSE(woken);
    signal.notify();
    while (gate.running() > 0) co_await boost::asio::post(executor, boost::asio::use_awaitable);
    EXPECT_TRUE(woken);
  };
  loop.run(story(loop.executor()));
}

TEST(Signal, WaitWithADeadlineThatIsCancelledDoesNotReturn) {
  testing::EventLoop loop;
  auto story = [](Executor executor) -> Task<void> {
    IdleClock clock;
    Signal never(executor);
    Gate gate(executor);
    auto job = [](Clock& time, Signal& signal) -> Task<void> {
      co_await signal.wait_until(time, TimePoint(Seconds(1)));
      ADD_FAILURE() << "it was cancelled, yet it went on as if notified";
    };
    gate.spawn(job(clock, never));
    co_await boost::asio::post(executor, boost::asio::use_awaitable);
    co_await gate.close();
  };
  loop.run(story(loop.executor()));
}

TEST(Gate, MayBeCancelledAndDestroyedFromOutsideTheLoop) {
  testing::EventLoop loop;
  Signal ends(loop.executor());
  auto wait = [](Signal& on) -> Task<void> { co_await on.wait(); };
  {
    Gate gate(loop.executor());
    gate.spawn(wait(ends));
    loop.drain();
    EXPECT_EQ(gate.running(), 1U);
    ends.notify();  // the task is about to end by itself, as one whose socket was closed
    gate.cancel();
  }
  loop.drain();
}

}  // namespace
}  // namespace godwit::sys
