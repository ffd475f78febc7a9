#include "migrate/pace.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

void note(Pace& pace, int batches, Nanos encoding, Nanos writing) {
  for (int i = 0; i < batches; ++i) pace.note(encoding, writing);
}

TEST(Pace, BeginsInTheMiddle) {
  const auto effort = Pace().effort();
  EXPECT_TRUE(effort.look && effort.similar);
  EXPECT_GT(effort.level, 0);
}

TEST(Pace, ASlowLinkIsWorthAllEffort) {
  Pace pace;
  note(pace, 100, Millis{1}, Millis{50});
  EXPECT_TRUE(pace.effort().look && pace.effort().similar);
  EXPECT_EQ(pace.effort().level, 8);
}

TEST(Pace, AFastLinkIsNotHeldUp) {
  Pace pace;
  note(pace, 100, Millis{10}, Millis{1});
  EXPECT_FALSE(pace.effort().look || pace.effort().similar);
  EXPECT_EQ(pace.effort().level, 0);
}

TEST(Pace, BetweenTheTwoNothingChanges) {
  Pace pace;
  const auto before = pace.effort().level;
  note(pace, 100, Millis{5}, Millis{5});
  EXPECT_EQ(pace.effort().level, before);
}

TEST(Pace, OneBatchThatIsSlowChangesNothing) {
  Pace pace;
  const auto before = pace.effort().level;
  note(pace, 3, Millis{100}, Millis{0});
  EXPECT_EQ(pace.effort().level, before);
}

TEST(Pace, ItFollowsALinkThatChanges) {
  Pace pace;
  note(pace, 100, Millis{10}, Millis{1});
  note(pace, 100, Millis{1}, Millis{50});
  EXPECT_EQ(pace.effort().level, 8);
}

TEST(Pace, WhereNothingTakesTimeNothingChanges) {
  Pace pace;
  const auto before = pace.effort().level;
  note(pace, 100, Nanos{}, Nanos{});
  EXPECT_EQ(pace.effort().level, before);
}

}  // namespace
}  // namespace godwit::migrate
