#include "migrate/speed.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

TEST(Speed, IsNotKnownAtFirstAndThenFollows) {
  Speed speed;
  TimePoint now{};
  speed.add(1'000'000, now);
  EXPECT_EQ(speed.bytes_per_s(), 0);
  for (int i = 0; i < 50; ++i) speed.add(10'000, now += Millis{10});
  EXPECT_NEAR(speed.bytes_per_s(), 1e6, 1e5);
  for (int i = 0; i < 100; ++i) speed.add(100'000, now += Millis{10});
  EXPECT_NEAR(speed.bytes_per_s(), 1e7, 1e5);
}

TEST(Speed, WhereNoTimePassesItStaysUnknown) {
  Speed speed;
  for (int i = 0; i < 10; ++i) speed.add(1000, TimePoint{});
  EXPECT_EQ(speed.bytes_per_s(), 0);
}

}  // namespace
}  // namespace godwit::migrate
