// How long datagrams may be is found out on every way, whatever the network says about it: nothing.
#include "overlay/path_mtu.h"

#include "support/path_net.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

using sim::NatScope;

struct Direct {
  explicit Direct(std::uint64_t seed, std::size_t longest) : net(seed) {
    net.longest_datagram = longest;
    net.add(0, at("203.0.113.1"));
    net.add(0, at("203.0.113.2"));
    net.run_for(Millis{200});
    net.join(1, 2);
  }
  [[nodiscard]] std::size_t found() const { return net.paths(1).datagram_bytes(2); }
  mutable PathNet net;
};

std::size_t best_for(std::size_t longest) {
  std::size_t out = 0;
  for (const auto each : PathMtu::kSizes) out = each <= longest ? std::max<std::size_t>(out, each) : out;
  return out;
}

TEST(PathMtu, TheLongestThatPassesIsFoundOnEveryLink) {
  for (std::size_t longest = 1200; longest <= 9000; longest += longest < 1450 ? 3 : 117) {
    SCOPED_TRACE(longest);
    Direct direct(longest, longest);
    direct.net.talk(1, 2, Seconds{8});
    ASSERT_TRUE(direct.net.direct(1, 2));
    EXPECT_EQ(direct.found(), best_for(longest));
    EXPECT_EQ(direct.net.paths(2).datagram_bytes(1), best_for(longest));
  }
}

TEST(PathMtu, OnEthernetItIsFoundAtOnce) {
  Direct direct(1, 1444);
  direct.net.talk(1, 2, Millis{500});
  ASSERT_TRUE(direct.net.direct(1, 2));
  EXPECT_EQ(direct.found(), 1444U);
}

TEST(PathMtu, BeforeAnythingIsKnownDatagramsAreThoseThatPassEverywhere) {
  Direct direct(2, 9000);
  EXPECT_EQ(direct.found(), 1200U);
}

TEST(PathMtu, ABlackHoleIsFoundAndLeftWithinSeconds) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Direct direct(seed, 1444);
    direct.net.talk(1, 2, Seconds{3 + static_cast<int>(seed)});
    ASSERT_EQ(direct.found(), 1444U);
    direct.net.longest_datagram = 1300;
    direct.net.talk(1, 2, Seconds{4});
    EXPECT_LE(direct.found(), 1300U);
    direct.net.talk(1, 2, Seconds{4});
    EXPECT_EQ(direct.found(), 1294U);
  }
}

TEST(PathMtu, WhatWasTooLongIsTriedAgainAfterTenMinutes) {
  Direct direct(3, 1300);
  direct.net.talk(1, 2, Seconds{8});
  direct.net.longest_datagram = 1444;
  direct.net.talk(1, 2, Seconds{620});
  EXPECT_EQ(direct.found(), 1444U);
}

TEST(PathMtu, ANetworkThatIsGoneForAWhileIsNoSmallerAfterwards) {
  Direct direct(4, 1444);
  direct.net.talk(1, 2, Seconds{5});
  direct.net.loss_percent = 100;
  direct.net.talk(1, 2, Seconds{60});
  direct.net.loss_percent = 0;
  direct.net.talk(1, 2, Seconds{15});
  EXPECT_EQ(direct.found(), 1444U);
}

TEST(PathMtu, LossDoesNotMakeItSmallForLong) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Direct direct(seed, 1444);
    direct.net.loss_percent = 10;
    direct.net.talk(1, 2, Seconds{60});
    direct.net.loss_percent = 0;
    direct.net.talk(1, 2, Seconds{40});
    EXPECT_EQ(direct.found(), 1444U) << seed;
  }
}

TEST(PathMtu, ByTheRelayItIsThatOfBothLinksTogether) {
  const sim::NatSpec symmetric{NatScope::address_and_port, NatScope::address_and_port};
  PathNet net(5);
  net.longest_datagram = 1370;
  net.realms.add_realm(0, symmetric, at("203.0.113.1"), 1);
  net.realms.add_realm(0, symmetric, at("203.0.113.2"), 2);
  net.add(1, at("10.1.0.2"));
  net.add(2, at("10.2.0.2"));
  net.run_for(Millis{200});
  net.join(1, 2);
  net.talk(1, 2, Seconds{8});
  ASSERT_FALSE(net.direct(1, 2));
  EXPECT_EQ(net.paths(1).datagram_bytes(2), 1364U);
}

TEST(PathMtu, AnswersThatNobodyAskedForChangeNothing) {
  PathMtu mtu;
  EXPECT_FALSE(mtu.on_answer(TimePoint{Seconds{1}}, 0));
  EXPECT_FALSE(mtu.on_answer(TimePoint{Seconds{1}}, 7));
  EXPECT_EQ(mtu.datagram_bytes(), 1200U);
}

}  // namespace
}  // namespace godwit::overlay::testing
