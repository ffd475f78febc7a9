// Following what goes on in sky until it is over, through a restart of sky.
#pragma once

#include "cli/sky_client.h"
#include "sys/task.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <memory>

namespace godwit::cli {

constexpr Seconds kWatchAgain{1};

// Gives each message to `is_over` until it says true, or sky ends the watch in order. When sky goes away after it has
// been heard, it is asked again. Errors: those of SkyClient; timed_out ("what: not done within N s").
template <class T>
sys::Task<Result<>> watch_until(SkyClient sky, sys::Clock& clock, std::string path,
                                std::map<std::string, std::string> query, Seconds limit, std::string what,
                                std::function<bool(const T&)> is_over) {
  using namespace boost::asio::experimental::awaitable_operators;
  struct Progress {
    explicit Progress(const sys::Executor& executor) : over_signal(executor) {}
    sys::Signal over_signal;
    bool over{false};
    bool heard{false};
  };
  const auto deadline = clock.now() + limit;
  // Shared: a watch that is being cancelled may still give a message.
  const auto progress = std::make_shared<Progress>(co_await boost::asio::this_coro::executor);
  while (true) {
    std::function<void(T)> on_message = [progress, is_over](T message) {
      progress->heard = true;
      if (progress->over || !is_over(message)) return;
      progress->over = true;
      progress->over_signal.notify();
    };
    auto watch = sky.watch<T>(path, query, std::move(on_message));
    auto race = std::move(watch) || progress->over_signal.wait_until(clock, deadline);
    const auto outcome = co_await std::move(race);
    if (progress->over) co_return Result<>{};
    if (clock.now() >= deadline) {
      co_return fail(Errc::timed_out, "{}: not done within {} s (it goes on; look again with the same command)", what,
                     limit.count());
    }
    if (outcome.index() != 0) continue;
    const auto& ended = std::get<0>(outcome);
    if (ended) co_return Result<>{};
    if (!progress->heard || ended.error().code == Errc::protocol || ended.error().code == Errc::not_found) {
      co_return ended;
    }
    co_await clock.sleep_for(kWatchAgain);
  }
}

}  // namespace godwit::cli
