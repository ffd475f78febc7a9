#include "lab/link.h"

#include <gtest/gtest.h>

namespace godwit::lab {
namespace {

constexpr std::uint64_t kSeed = 7;
constexpr TimePoint kStart{Seconds{1000}};

Packet packet_of(std::size_t size) {
  auto packet = std::make_unique<Slot>();
  packet->size = static_cast<std::uint16_t>(size);
  return packet;
}

// Runs the link to its end; when each packet came out.
std::vector<TimePoint> drain(Link& link) {
  std::vector<TimePoint> out;
  while (const auto due = link.next_deadline()) {
    EXPECT_FALSE(link.take_due(*due - Nanos{1}));
    EXPECT_TRUE(link.take_due(*due));
    out.push_back(*due);
  }
  return out;
}

TEST(Link, APacketTakesItsTransmissionAndTheDelay) {
  Link link({.rate_bps = 100'000'000, .delay = Millis{20}}, kSeed);
  link.offer(kStart, packet_of(1500));  // 120 us at 100 Mbit/s
  link.offer(kStart, packet_of(1500));
  const auto out = drain(link);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0] - kStart, Nanos{20'120'000});
  EXPECT_EQ(out[1] - kStart, Nanos{20'240'000});
}

TEST(Link, AnIdleLineSavesUpNoBurst) {
  Link link({.rate_bps = 100'000'000}, kSeed);
  link.offer(kStart, packet_of(1500));
  (void)drain(link);
  link.offer(kStart + Seconds{5}, packet_of(1500));
  link.offer(kStart + Seconds{5}, packet_of(1500));
  const auto out = drain(link);
  EXPECT_EQ(out[1] - out[0], Nanos{120'000});
}

TEST(Link, TheQueueIsFiftyMillisecondsAtTheRateThenItDropsTheTail) {
  Link link({.rate_bps = 100'000'000, .delay = Millis{20}}, kSeed);
  for (int i = 0; i < 1000; ++i) link.offer(kStart, packet_of(1500));
  const auto out = drain(link);
  EXPECT_NEAR(static_cast<double>(out.size()), 50.0 / 0.12, 2);
  EXPECT_EQ(link.counters().overflowed, 1000 - out.size());
  EXPECT_EQ(link.counters().bytes, out.size() * 1500);
}

TEST(Link, ASlowLineStillHoldsABurstOfTen) {
  Link link({.rate_bps = 1'000'000}, kSeed);
  for (int i = 0; i < 10; ++i) link.offer(kStart, packet_of(1500));
  EXPECT_EQ(drain(link).size(), 10U);
}

TEST(Link, WithoutARateWhatIsHeldIsBounded) {
  Link link({.delay = Seconds{1}}, kSeed);
  for (std::size_t i = 0; i < kMostHeldPackets + 10; ++i) link.offer(kStart, packet_of(64));
  EXPECT_EQ(link.counters().overflowed, 10U);
}

TEST(Link, LossFollowsTheSeed) {
  const auto survivors = [](std::uint64_t seed) {
    Link link({.loss_ppm = 100'000}, seed);
    for (int i = 0; i < 10'000; ++i) link.offer(kStart, packet_of(static_cast<std::size_t>(i % 1400 + 20)));
    std::uint64_t sum = 0;
    while (auto packet = link.take_due(kStart)) sum = sum * 31 + packet->size;
    EXPECT_NEAR(static_cast<double>(link.counters().lost), 1000, 150);
    return sum;
  };
  EXPECT_EQ(survivors(1), survivors(1));
  EXPECT_NE(survivors(1), survivors(2));
}

TEST(Link, ACutLosesWhatIsOnTheWayAndWhatComes) {
  Link link({.delay = Millis{20}}, kSeed);
  link.offer(kStart, packet_of(100));
  link.reshape(kStart, {.delay = Millis{20}, .cut = true});
  link.offer(kStart, packet_of(100));
  EXPECT_FALSE(link.next_deadline());
  EXPECT_EQ(link.counters().lost, 2U);
  link.reshape(kStart, {.delay = Millis{20}});
  link.offer(kStart, packet_of(100));
  EXPECT_EQ(drain(link).size(), 1U);
}

TEST(Link, AShorterDelayDoesNotReorder) {
  Link link({.delay = Millis{80}}, kSeed);
  link.offer(kStart, packet_of(1));
  link.reshape(kStart, {.delay = Millis{1}});
  link.offer(kStart, packet_of(2));
  EXPECT_EQ(link.take_due(kStart + Millis{80})->size, 1);
  EXPECT_EQ(link.take_due(kStart + Millis{80})->size, 2);
}

TEST(Link, AFasterRateShortensTheWaitOfWhatComes) {
  Link link({.rate_bps = 1'000'000}, kSeed);
  link.offer(kStart, packet_of(1250));  // 10 ms at 1 Mbit/s
  link.reshape(kStart, {.rate_bps = 1'000'000'000});
  link.offer(kStart + Millis{10}, packet_of(1250));
  const auto out = drain(link);
  EXPECT_EQ(out[1] - kStart, Millis{10} + Nanos{10'000});
}

}  // namespace
}  // namespace godwit::lab
