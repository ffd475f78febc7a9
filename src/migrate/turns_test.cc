#include "migrate/turns.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

constexpr TimePoint kStart{};

TEST(Turns, NobodyPausesInItsFirstRound) {
  Turns turns;
  turns.enter("a");
  EXPECT_FALSE(turns.may_pause("a"));
  turns.note("a", 1, 0, kStart);
  EXPECT_FALSE(turns.may_pause("a"));
  turns.note("a", 2, 1'000'000, kStart);
  EXPECT_TRUE(turns.may_pause("a"));
}

TEST(Turns, OneAtATimePausesAndThenTheOneWithLeastToDo) {
  Turns turns;
  for (const auto* each : {"a", "b", "c"}) turns.enter(each);
  turns.note("b", 2, 500, kStart);
  turns.note("a", 2, 300, kStart);
  turns.note("c", 3, 200, kStart);
  EXPECT_TRUE(turns.may_pause("b")) << "it was the first";
  EXPECT_FALSE(turns.may_pause("a"));
  EXPECT_FALSE(turns.may_pause("c"));
  turns.leave("b", kStart);
  EXPECT_TRUE(turns.may_pause("c"));
  EXPECT_FALSE(turns.may_pause("a"));
  turns.leave("c", kStart);
  EXPECT_TRUE(turns.may_pause("a"));
}

TEST(Turns, OneThatTakesLongLosesIt) {
  Turns turns;
  for (const auto* each : {"a", "b", "c"}) turns.enter(each);
  turns.note("a", 2, 1, kStart);
  turns.note("b", 2, 1, kStart);
  turns.note("c", 2, 2, kStart);
  turns.note("b", 3, 1, kStart + Turns::kPatience - Millis{1});
  EXPECT_FALSE(turns.may_pause("b"));
  turns.note("b", 4, 1, kStart + Turns::kPatience);
  EXPECT_TRUE(turns.may_pause("b"));
  EXPECT_TRUE(turns.may_pause("a")) << "it was told so";
  EXPECT_FALSE(turns.may_pause("c")) << "one after the other";
  turns.leave("b", kStart + Turns::kPatience + Seconds{1});
  EXPECT_TRUE(turns.may_pause("c"));
}

TEST(Turns, WhoIsInItsFirstRoundHoldsNobodyUp) {
  Turns turns;
  turns.enter("a");
  turns.note("a", 1, 1, kStart);
  turns.enter("b");
  turns.note("b", 2, 1'000, kStart);
  EXPECT_TRUE(turns.may_pause("b"));
}

TEST(Turns, WhoLeavesWithoutTheTurnTakesNothingWithIt) {
  Turns turns;
  turns.enter("a");
  turns.enter("b");
  turns.note("a", 2, 1, kStart);
  turns.leave("b", kStart);
  turns.leave("b", kStart);
  EXPECT_TRUE(turns.may_pause("a"));
  EXPECT_FALSE(turns.may_pause("unknown"));
}

}  // namespace
}  // namespace godwit::migrate
