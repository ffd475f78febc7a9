#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

using namespace testing;

constexpr TimePoint kNow{Seconds{1000}};
constexpr Seconds kHalf = kObservedInterval / 2;

class IntervalTest : public ::testing::Test {
 protected:
  IntervalTest() {
    EXPECT_TRUE(host.configure(kNow, network_of({1, 1, 2}), {{0, 1}, {1, 1}}));
    host.poll(kNow);
  }
  TestHost host{1, 1};
};

TEST_F(IntervalTest, TellsEachPairsTrafficOfTheLastWholeOneTheLargestFirst) {
  for (int i = 0; i < 3; ++i) host.from_guest(kNow, 0, guest_frame(0, 1, "x"));
  host.from_guest(kNow, 0, guest_frame(0, 2, std::string(1000, 'x')));
  EXPECT_EQ(host.core().observe(kNow + kHalf).ended_ms, 0);

  const auto first = host.core().observe(kNow + kObservedInterval);
  EXPECT_EQ(first.cloud, "cloud");
  EXPECT_EQ(first.host, host_name(1));
  EXPECT_EQ(first.interval_ms, 5000U);
  EXPECT_NE(first.ended_ms, 0);
  ASSERT_EQ(first.pairs.size(), 2U);
  EXPECT_EQ(first.pairs[0].destination_mac, to_string(guest_mac(2)));
  EXPECT_EQ(first.pairs[1].packets, 3U);
  EXPECT_EQ(first.pairs[1].bytes, 3 * guest_frame(0, 1, "x").size());

  host.from_guest(kNow + kObservedInterval, 0, guest_frame(0, 1, "x"));
  EXPECT_EQ(host.core().observe(kNow + kObservedInterval + kHalf), first) << "it stays until the next is over";
  const auto second = host.core().observe(kNow + 2 * kObservedInterval);
  ASSERT_EQ(second.pairs.size(), 1U);
  EXPECT_EQ(second.pairs[0].packets, 1U);
}

TEST_F(IntervalTest, NamesItsPeersAndHowTheyAreReached) {
  const auto peers = host.core().observe(kNow).peers;
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers[0].host, host_name(2));
  EXPECT_EQ(peers[0].endpoint, sys::to_string(host_address(2)));
  EXPECT_FALSE(peers[0].round_trip_ms);
  EXPECT_FALSE(peers[0].loss);
}

TEST_F(IntervalTest, ManyPairsAreSummedUp) {
  std::vector<unsigned> places(400, 2);
  places[0] = 1;
  TestHost crowded(1, 1);
  ASSERT_TRUE(crowded.configure(kNow, network_of(places), {{0, 1}}));
  crowded.poll(kNow);
  for (unsigned to = 1; to < 400; ++to) crowded.from_guest(kNow, 0, guest_frame(0, to, "x"));
  const auto seen = crowded.core().observe(kNow + kObservedInterval);
  EXPECT_EQ(seen.pairs.size(), wire::kMostObservedPairs);
  EXPECT_EQ(seen.pairs.size() + seen.other_packets, 399U);
}

}  // namespace
}  // namespace godwit::overlay
