#include "os/system.h"

#include "support/event_loop.h"

#include <csignal>

namespace godwit::os {
namespace {

TEST(System, MainRunsOnTheLoopAndItsResultIsTheExitCode) {
  System system({.log_level = LogLevel::error, .component = "test"});
  const int code = system.run([](System& on) -> sys::Task<int> {
    co_await on.runtime().clock.sleep_for(Millis(1));
    co_return 7;
  });
  EXPECT_EQ(code, 7);
}

TEST(System, FirstSignalMeansStop) {
  System system({.log_level = LogLevel::error, .component = "test"});
  const int code = system.run([](System& on) -> sys::Task<int> {
    ::raise(SIGTERM);
    co_await on.stop_requested();
    co_await on.stop_requested();
    co_return 0;
  });
  EXPECT_EQ(code, 0);
}

TEST(System, ASecondSignalEndsItAtOnce) {
  const auto stubborn = [] {
    System system({.log_level = LogLevel::error, .component = "test"});
    return system.run([](System& on) -> sys::Task<int> {
      ::raise(SIGTERM);
      co_await on.stop_requested();
      ::raise(SIGTERM);
      co_await on.runtime().clock.sleep_for(Seconds(3600));
      co_return 0;
    });
  };
  EXPECT_EXIT(std::exit(stubborn()), ::testing::ExitedWithCode(128 + SIGTERM), "");
}

TEST(System, WhatRunsWhenMainEndsIsUnwound) {
  bool unwound = false;
  {
    System system({.log_level = LogLevel::error, .component = "test"});
    const int code = system.run([&unwound](System& on) -> sys::Task<int> {
      auto job = [](sys::Clock& clock, bool& flag) -> sys::Task<void> {
        struct AtEnd {
          bool& flag;
          ~AtEnd() { flag = true; }
        };
        AtEnd at_end{flag};
        co_await clock.sleep_for(Seconds(3600));
      };
      sys::Gate gate(on.runtime().executor);
      gate.spawn(job(on.runtime().clock, unwound));
      co_await on.runtime().clock.sleep_for(Millis(1));
      gate.cancel();
      co_return 0;
    });
    EXPECT_EQ(code, 0);
  }
  EXPECT_TRUE(unwound);
}

}  // namespace
}  // namespace godwit::os
