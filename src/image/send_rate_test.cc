#include "image/send_rate.h"

#include <gtest/gtest.h>

namespace godwit::image {
namespace {

constexpr std::uint64_t kRate = 10'000'000;
const TimePoint kStart{Seconds{1000}};

// Takes as often as it may, until then; how much that was.
std::uint64_t take_until(SendRate& rate, TimePoint from, TimePoint end, std::size_t bytes) {
  std::uint64_t sum = 0;
  for (auto now = from; now < end;) {
    if (const auto again = rate.take(now, bytes)) {
      EXPECT_GT(*again, now);
      now = *again;
    } else {
      sum += bytes;
    }
  }
  return sum;
}

TEST(SendRateTest, IsKeptWhateverIsTakenAtOnce) {
  for (const std::size_t bytes : {1'000U, 65'536U, 4'000'000U}) {
    SendRate rate(kRate);
    const auto sum = take_until(rate, kStart, kStart + Seconds{10}, bytes);
    EXPECT_GE(sum, 10 * kRate);
    EXPECT_LE(sum, 10 * kRate + kRate / 50 + bytes) << "no more ahead than 20 ms and one";
  }
}

TEST(SendRateTest, AQuietTimeSavesNothingUp) {
  SendRate rate(kRate);
  (void)rate.take(kStart, 1000);
  EXPECT_LE(take_until(rate, kStart + Seconds{60}, kStart + Seconds{61}, 1000), kRate + kRate / 50 + 1000);
}

TEST(SendRateTest, WhatWasNotSentIsGivenBack) {
  SendRate rate(kRate);
  std::uint64_t sent = 0;
  for (auto now = kStart; now < kStart + Seconds{10};) {
    if (const auto again = rate.take(now, 65'536)) {
      now = *again;
    } else {
      rate.give_back(65'536 - 16'384);  // packed to a quarter
      sent += 16'384;
    }
  }
  EXPECT_GE(sent, 10 * kRate);
  EXPECT_LE(sent, 10 * kRate + kRate / 50 + 65'536);
}

TEST(SendRateTest, WhatCannotWaitIsWaitedForByTheOthers) {
  SendRate rate(kRate);
  rate.take_anyway(kStart, kRate);
  rate.take_anyway(kStart, kRate);
  const auto again = rate.take(kStart, 1);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, kStart + Seconds{2} - SendRate::kAhead);
}

TEST(SendRateTest, WithoutALimitAllGoesAtOnce) {
  SendRate rate;
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(rate.take(kStart, 1U << 30U));
  EXPECT_FALSE(rate.is_limited());
}

}  // namespace
}  // namespace godwit::image
