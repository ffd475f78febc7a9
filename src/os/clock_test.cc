#include "os/clock.h"

#include "os/log.h"
#include "support/event_loop.h"
#include "sys/task.h"

#include <array>

namespace godwit::os {
namespace {

TEST(Clock, SleepsToItsDeadlineAndNotAtAllForOneThatIsPast) {
  testing::EventLoop loop;
  SystemClock clock;
  auto story = [](SystemClock& time) -> sys::Task<void> {
    const auto start = time.now();
    co_await time.sleep_until(start - Seconds(5));
    co_await time.sleep_for(Millis(10));
    EXPECT_GE(time.now() - start, Millis(10));
  };
  loop.run(story(clock));
  EXPECT_GT(clock.wall_now(), WallTime(Millis(1'700'000'000'000)));
}

TEST(Clock, AClosedGateEndsASleep) {
  testing::EventLoop loop;
  SystemClock clock;
  auto story = [](testing::EventLoop& events, SystemClock& time) -> sys::Task<void> {
    sys::Gate gate(events.executor());
    gate.spawn(time.sleep_for(Seconds(3600)));
    co_await time.sleep_for(Millis(1));
    co_await gate.close();
  };
  loop.run(story(loop, clock));
}

TEST(Random, GivesDifferentIds) {
  SystemRandom random;
  const auto first = random.id("i");
  EXPECT_EQ(first.size(), 19U);
  EXPECT_NE(first, random.id("i"));
}

TEST(Log, ControlCharactersCannotForgeALine) {
  EXPECT_EQ(escape_controls("a\nb\tc\x1b[31m\x7f"), "a\\nb\\tc\\x1b[31m\\x7f");
  EXPECT_EQ(parse_log_level("warn").value(), LogLevel::warn);
  EXPECT_FALSE(parse_log_level("loud"));
}

TEST(Log, LineHasTimeLevelAndComponent) {
  StderrLog sink(LogLevel::info);
  const Log log(sink, "agent");
  ::testing::internal::CaptureStderr();
  log.debug("not this");
  log.warn("adopted {}", "i-0123");
  const auto line = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(line.ends_with("Z warn  agent: adopted i-0123\n")) << line;
}

}  // namespace
}  // namespace godwit::os
