#include "migrate/turns.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

constexpr TimePoint kStart{};

TEST(Turns, NobodyPausesInItsFirstRound) {
  Turns turns;
  turns.enter("a");
  EXPECT_FALSE(turns.may_pause("a", kStart));
  turns.note("a", 1, 0, kStart);
  EXPECT_FALSE(turns.may_pause("a", kStart + Seconds{100}));
  turns.note("a", 2, 1'000'000, kStart);
  EXPECT_TRUE(turns.may_pause("a", kStart));
}

TEST(Turns, OneAtATimePausesAndThenTheOneWithLeastToDo) {
  Turns turns;
  for (const auto* each : {"a", "b", "c"}) turns.enter(each);
  turns.note("b", 2, 500, kStart);
  turns.note("a", 2, 300, kStart);
  turns.note("c", 3, 200, kStart);
  EXPECT_TRUE(turns.may_pause("b", kStart)) << "it was the first";
  EXPECT_FALSE(turns.may_pause("a", kStart));
  EXPECT_FALSE(turns.may_pause("c", kStart));
  turns.leave("b");
  EXPECT_TRUE(turns.may_pause("c", kStart));
  EXPECT_FALSE(turns.may_pause("a", kStart));
  turns.leave("c");
  EXPECT_TRUE(turns.may_pause("a", kStart));
}

TEST(Turns, WhoHasWaitedLongWaitsNoMore) {
  Turns turns;
  turns.enter("a");
  turns.enter("b");
  turns.note("a", 2, 1, kStart);
  turns.note("b", 2, 1, kStart + Seconds{1});
  EXPECT_FALSE(turns.may_pause("b", kStart + Turns::kPatience));
  EXPECT_TRUE(turns.may_pause("b", kStart + Seconds{1} + Turns::kPatience));
}

TEST(Turns, WhoIsInItsFirstRoundHoldsNobodyUp) {
  Turns turns;
  turns.enter("a");
  turns.note("a", 1, 1, kStart);
  turns.enter("b");
  turns.note("b", 2, 1'000, kStart);
  EXPECT_TRUE(turns.may_pause("b", kStart));
}

TEST(Turns, WhoLeavesWithoutTheTurnTakesNothingWithIt) {
  Turns turns;
  turns.enter("a");
  turns.enter("b");
  turns.note("a", 2, 1, kStart);
  turns.leave("b");
  turns.leave("b");
  EXPECT_TRUE(turns.may_pause("a", kStart));
  EXPECT_TRUE(turns.may_pause("unknown", kStart)) << "who is not copying is not held";
}

}  // namespace
}  // namespace godwit::migrate
