// A real event loop for one test.
#pragma once

#include "sys/clock.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

// ASSERT_… returns, which a coroutine must not do.
#define GODWIT_CO_ASSERT(condition)                    \
  do {                                                 \
    if (!(condition)) {                                \
      ADD_FAILURE() << #condition << " does not hold"; \
      co_return;                                       \
    }                                                  \
  } while (false)
// For a Result: says the error.
#define GODWIT_CO_ASSERT_OK(result)                                        \
  do {                                                                     \
    if (!(result)) {                                                       \
      ADD_FAILURE() << #result << " failed: " << (result).error().message; \
      co_return;                                                           \
    }                                                                      \
  } while (false)

namespace godwit::testing {

class EventLoop {
 public:
  [[nodiscard]] sys::Executor executor() { return context_.get_executor(); }

  // Runs the loop until `task` has ended; a test that hangs fails after `limit`.
  void run(sys::Task<void> task, Nanos limit = Seconds{30}) {
    std::optional<std::exception_ptr> ended;
    boost::asio::co_spawn(context_, std::move(task),
                          [&ended](std::exception_ptr thrown) { ended = std::move(thrown); });
    const auto deadline = std::chrono::steady_clock::now() + limit;
    context_.restart();
    while (!ended && context_.run_one_until(deadline) > 0) {
    }
    if (!ended) {
      ADD_FAILURE() << "the task did not end";
      context_.stop();
      std::exit(1);  // its frame refers to locals of the test
    }
    if (*ended) std::rethrow_exception(*ended);
    drain();
  }

  // Runs what is ready, so that cancelled operations unwind.
  void drain() {
    context_.restart();
    context_.poll();
  }

 private:
  boost::asio::io_context context_{1};
};

}  // namespace godwit::testing
