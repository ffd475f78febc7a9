// Two hosts behind NATs of every kind: what they say arrives from the beginning, and by the direct way where there can
// be one.
#include "support/path_net.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::overlay::testing {
namespace {

using sim::NatScope;
using sim::NatSpec;

constexpr std::array kScopes{NatScope::endpoint, NatScope::address, NatScope::address_and_port};

std::vector<NatSpec> all_kinds() {
  std::vector<NatSpec> out;
  for (const auto mapping : kScopes) {
    for (const auto filtering : kScopes) out.push_back({.mapping = mapping, .filtering = filtering});
  }
  return out;
}

std::string name_of(const NatSpec& spec) {
  return fmt::format("mapping {} filtering {}", static_cast<int>(spec.mapping), static_cast<int>(spec.filtering));
}

// Can the first datagram of a to the endpoint of b that the relay has seen pass, and then an answer?
bool opens(const NatSpec& a, const NatSpec& b) {
  const bool symmetric_a = a.mapping != NatScope::endpoint;
  const bool symmetric_b = b.mapping != NatScope::endpoint;
  const bool passes =
      b.filtering == NatScope::endpoint || (!symmetric_b && (b.filtering == NatScope::address || !symmetric_a));
  return passes && (!symmetric_b || a.filtering != NatScope::address_and_port);
}
bool can_join(const NatSpec& a, const NatSpec& b) { return opens(a, b) || opens(b, a); }

struct Pair {
  using Delay = std::function<Nanos(std::size_t from, std::size_t to)>;
  Pair(std::uint64_t seed, const NatSpec& a, const NatSpec& b, const Delay& delay = {}) : net(seed) {
    if (delay) net.delay = delay;
    net.realms.add_realm(0, a, at("203.0.113.1"), seed * 2);
    net.realms.add_realm(0, b, at("203.0.113.2"), seed * 2 + 1);
    net.add(1, at("10.1.0.2"));
    net.add(2, at("10.2.0.2"));
    net.run_for(Millis{200});
    net.join(1, 2);
  }
  [[nodiscard]] bool direct() { return net.direct(1, 2) && net.direct(2, 1); }
  [[nodiscard]] bool relayed() { return !net.direct(1, 2) && !net.direct(2, 1); }
  PathNet net;
};

TEST(PathsThroughNats, EveryPairJoinsWithoutTheRelayWhereThatCanBe) {
  for (const auto& a : all_kinds()) {
    for (const auto& b : all_kinds()) {
      for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        SCOPED_TRACE(fmt::format("{}, {}, seed {}", name_of(a), name_of(b), seed));
        Pair pair(seed, a, b);
        pair.net.talk(1, 2, Seconds{3});
        pair.net.run_for(Millis{200});
        EXPECT_EQ(pair.net.heard(), pair.net.said()) << "from the first datagram on, and while ways change";
        EXPECT_TRUE(can_join(a, b) ? pair.direct() : pair.relayed());
      }
    }
  }
}

// Symmetric: mapping and filtering by address and port. Port-restricted: filtering by address and port.
TEST(PathsThroughNats, OnlySymmetricWithSymmetricOrPortRestrictedNeedsTheRelay) {
  const auto all = NatScope::address_and_port;
  const NatSpec cone{NatScope::endpoint, NatScope::endpoint};
  const NatSpec restricted{NatScope::endpoint, NatScope::address};
  const NatSpec port_restricted{NatScope::endpoint, all};
  const NatSpec symmetric{all, all};
  for (const auto& a : {cone, restricted, port_restricted}) {
    for (const auto& b : {cone, restricted, port_restricted}) EXPECT_TRUE(can_join(a, b));
  }
  EXPECT_TRUE(can_join(symmetric, cone));
  EXPECT_TRUE(can_join(symmetric, restricted));
  EXPECT_FALSE(can_join(symmetric, port_restricted));
  EXPECT_FALSE(can_join(symmetric, symmetric));
}

TEST(PathsThroughNats, EveryPairJoinsThroughLossToo) {
  for (const auto& a : all_kinds()) {
    for (const auto& b : all_kinds()) {
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        SCOPED_TRACE(fmt::format("{}, {}, seed {}", name_of(a), name_of(b), seed));
        Pair pair(seed, a, b);
        pair.net.loss_percent = 10;
        pair.net.talk(1, 2, Seconds{12});
        if (!can_join(a, b)) {
          EXPECT_TRUE(pair.relayed());
          continue;
        }
        pair.net.loss_percent = 0;
        pair.net.talk(1, 2, Seconds{8});
        EXPECT_TRUE(pair.direct());
      }
    }
  }
}

// What a Linux router is that masquerades and answers whoever knocks: after a stranger's first datagram the port is the
// router's own, for that stranger.
constexpr NatSpec kAnswersStrangers{.mapping = NatScope::endpoint,
                                    .filtering = NatScope::address_and_port,
                                    .preserves_ports = true,
                                    .answers_strangers = true};

TEST(PathsThroughNats, RoutersThatAnswerStrangersAreOpenedFromBothSidesAtOnce) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    const auto to_a = Millis{3 * static_cast<int>(seed)};  // the relay may be far from one, and near to the other
    Pair pair(seed, kAnswersStrangers, kAnswersStrangers, [to_a](std::size_t from, std::size_t to) -> Nanos {
      if (from != 0 && to != 0) return to_a + Millis{10};
      return from == 1 || to == 1 ? Nanos(to_a) : Nanos(Millis{20});
    });
    pair.net.talk(1, 2, Seconds{3});
    EXPECT_TRUE(pair.direct());
  }
}

TEST(PathsThroughNats, WhereTheRouterHasTakenThePortItIsTriedAgainWhenThatIsForgotten) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Pair pair(seed, kAnswersStrangers, kAnswersStrangers, [](std::size_t from, std::size_t to) -> Nanos {
      return from == 0 && to == 1 ? Millis{300} : Millis{20};  // of the relay's ways one is slow
    });
    pair.net.talk(1, 2, Seconds{3});
    EXPECT_FALSE(pair.direct());
    pair.net.delay = [](std::size_t, std::size_t) { return Millis{20}; };
    pair.net.talk(1, 2, Seconds{90});
    EXPECT_TRUE(pair.direct());
  }
}

TEST(PathsThroughNats, BehindOneNatTheLocalAddressesAreUsed) {
  PathNet net(1);
  net.realms.add_realm(0, {NatScope::address_and_port, NatScope::address_and_port}, at("203.0.113.1"), 1);
  net.add(1, at("10.1.0.2"));
  net.add(1, at("10.1.0.3"));
  net.run_for(Millis{200});
  net.join(1, 2);
  net.talk(1, 2, Seconds{2});
  ASSERT_TRUE(net.direct(1, 2));
  EXPECT_EQ(*net.paths(1).best(2), at("10.1.0.3"));
  EXPECT_EQ(*net.paths(2).best(1), at("10.1.0.2"));
}

TEST(PathsThroughNats, TwoNatsInARowAreOneOfTheStricterKind) {
  for (const auto& outer : all_kinds()) {
    for (const auto& b : all_kinds()) {
      SCOPED_TRACE(name_of(outer) + ", " + name_of(b));
      const NatSpec inner{NatScope::endpoint, NatScope::address_and_port};
      PathNet net(3);
      net.realms.add_realm(0, outer, at("203.0.113.1"), 1);
      net.realms.add_realm(1, inner, at("100.64.0.7"), 2);
      net.realms.add_realm(0, b, at("203.0.113.2"), 3);
      net.add(2, at("192.168.0.2"));
      net.add(3, at("10.2.0.2"));
      net.run_for(Millis{200});
      net.join(1, 2);
      net.talk(1, 2, Seconds{3});
      const NatSpec both{outer.mapping, NatScope::address_and_port};
      EXPECT_EQ(net.direct(1, 2), can_join(both, b));
      EXPECT_EQ(net.direct(2, 1), can_join(both, b));
    }
  }
}

TEST(PathsThroughNats, BehindOneOuterNatHairpinningDecides) {
  for (const bool hairpins : {false, true}) {
    PathNet net(4);
    net.realms.add_realm(0, {.hairpins = hairpins}, at("203.0.113.1"), 1);
    net.realms.add_realm(1, {}, at("100.64.0.7"), 2);
    net.realms.add_realm(1, {}, at("100.64.0.8"), 3);
    net.add(2, at("192.168.0.2"));
    net.add(3, at("192.168.0.2"));
    net.run_for(Millis{200});
    net.join(1, 2);
    net.talk(1, 2, Seconds{3});
    net.run_for(Millis{200});
    EXPECT_EQ(net.direct(1, 2), hairpins);
    EXPECT_EQ(net.heard(), net.said());
  }
}

TEST(PathsThroughNats, ANatThatRebootsCostsSecondsAndThenTheDirectWayIsBack) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Pair pair(seed, {NatScope::endpoint, NatScope::address_and_port}, {NatScope::endpoint, NatScope::address_and_port});
    pair.net.talk(1, 2, Seconds{3});
    ASSERT_TRUE(pair.direct());
    pair.net.realms.nat(1 + seed % 2).reboot();
    pair.net.forget_counts();
    pair.net.talk(1, 2, Seconds{4});
    pair.net.forget_counts();
    pair.net.talk(1, 2, Seconds{2});
    EXPECT_GE(pair.net.heard() + 4, pair.net.said()) << "after four seconds nothing is lost any more";
    pair.net.talk(1, 2, Seconds{20});
    EXPECT_TRUE(pair.direct());
  }
}

TEST(PathsThroughNats, AHostThatChangesItsAddressIsFollowedAtOnce) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Pair pair(seed, {NatScope::endpoint, NatScope::endpoint}, {NatScope::endpoint, NatScope::endpoint});
    pair.net.realms.add_realm(0, {NatScope::endpoint, NatScope::endpoint}, at("203.0.113.9"), seed);
    pair.net.talk(1, 2, Seconds{3});
    ASSERT_TRUE(pair.direct());
    pair.net.run_for(Millis{100});
    const auto mover = 1 + static_cast<unsigned>(seed % 2);
    pair.net.realms.move_host(mover, 3, at("10.9.0.2"));
    pair.net.forget_counts();
    pair.net.readdress(mover);
    pair.net.talk(1, 2, Seconds{2});
    pair.net.run_for(Millis{100});
    EXPECT_GE(pair.net.heard() + 4, pair.net.said()) << "what was sent within the first round trip may be lost";
    pair.net.talk(1, 2, Seconds{8});
    EXPECT_TRUE(pair.direct());
  }
}

TEST(PathsThroughNats, SilenceKeepsTheWayOpenAndLearnsHowLongItMay) {
  for (const auto timeout : {Seconds{30}, Seconds{60}, Seconds{300}}) {
    SCOPED_TRACE(timeout.count());
    const NatSpec spec{NatScope::endpoint, NatScope::address_and_port, timeout};
    Pair pair(7, spec, spec);
    pair.net.talk(1, 2, Seconds{3});
    ASSERT_TRUE(pair.direct());
    for (int i = 0; i < 5; ++i) pair.net.talk(1, 2, Seconds{590}, Seconds{590});  // hardly anything, but not asleep
    const auto learned = pair.net.path(1, 2).keepalive();
    EXPECT_GE(learned, KeepaliveInterval::kLeast);
    EXPECT_LE(learned, std::min<Nanos>(KeepaliveInterval::kMost, timeout));
    if (timeout > KeepaliveInterval::kMost) {
      EXPECT_EQ(learned, Nanos(KeepaliveInterval::kMost));
    }
    pair.net.forget_counts();
    pair.net.run_for(Seconds{580});
    EXPECT_LE(pair.net.path_datagrams(), 2 * 2 * (580 / 10)) << "a few each interval";
    EXPECT_TRUE(pair.direct());
    pair.net.talk(1, 2, Seconds{2});
    pair.net.run_for(Millis{100});
    EXPECT_EQ(pair.net.heard(), pair.net.said());
  }
}

TEST(PathsThroughNats, WithoutTheRelayWhatIsDirectStays) {
  Pair pair(5, {}, {});
  pair.net.talk(1, 2, Seconds{3});
  ASSERT_TRUE(pair.direct());
  pair.net.run_for(Millis{100});
  pair.net.relay_is_dead = true;
  pair.net.forget_counts();
  pair.net.talk(1, 2, Seconds{30});
  pair.net.run_for(Millis{100});
  EXPECT_EQ(pair.net.heard(), pair.net.said());
}

TEST(PathsThroughNats, TheFasterOfTwoWaysIsUsedAndATwinIsNotWorthAChange) {
  PathNet net(6);
  net.add(0, at("203.0.113.1"));
  net.add(0, at("203.0.113.2"));
  net.run_for(Millis{200});
  net.join(1, 2);
  net.talk(1, 2, Seconds{2});
  ASSERT_TRUE(net.direct(1, 2));
  const auto changes = net.path(1, 2).changes();
  net.talk(1, 2, Seconds{300}, Millis{100});
  EXPECT_EQ(net.path(1, 2).changes(), changes);
}

TEST(PathsThroughNats, WhoHasNothingToSayFallsAsleepAndWakesByTheRelay) {
  const NatSpec spec{NatScope::endpoint, NatScope::address_and_port, Seconds{60}};
  Pair pair(8, spec, spec);
  pair.net.talk(1, 2, Seconds{3});
  pair.net.run_for(Seconds{3600});
  pair.net.forget_counts();
  pair.net.run_for(Seconds{3600});
  EXPECT_EQ(pair.net.path_datagrams(), 0);
  pair.net.talk(1, 2, Seconds{2});
  pair.net.run_for(Millis{100});
  EXPECT_EQ(pair.net.heard(), pair.net.said());
  EXPECT_TRUE(pair.direct());
}

}  // namespace
}  // namespace godwit::overlay::testing
