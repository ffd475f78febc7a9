// Stories of a chain, in simulated time: what its hosts have in the end, when, and what it cost.
#include "image/distribution.h"

#include "support/chain_cloud.h"

namespace godwit::image {
namespace {

using testing::ChainCloud;

constexpr std::uint64_t kPieces = 640;      // 40 MiB, a tenth zeros
constexpr std::uint64_t kNic = 12'500'000;  // 100 Mbit/s
constexpr std::size_t kHosts = 8;           // an origin and seven others

class Chain : public ::testing::Test {
 public:
  void nics(std::uint64_t bytes_per_s = kNic) {
    for (std::size_t host = 0; host < cloud.size(); ++host) {
      cloud.world.network().set_nic(ChainCloud::id(host), bytes_per_s, bytes_per_s);
    }
  }
  // Without heads and hops.
  [[nodiscard]] double limit_s(std::uint64_t bytes_per_s = kNic) const {
    return static_cast<double>(cloud.payload()) / static_cast<double>(bytes_per_s);
  }
  // Half of it is where it is latest.
  void run_to_half() {
    EXPECT_TRUE(
        cloud.world.run_until([this] { return cloud.disk(cloud.size() - 1).here() > kPieces / 2; }, Seconds{60}))
        << cloud.state();
  }

  ChainCloud cloud{1, kPieces, kHosts};
};

TEST_F(Chain, EveryHostHasItAsSoonAsOneCould) {
  nics();
  cloud.start_all();
  const auto took = cloud.run_until_done(Seconds{60});
  EXPECT_LT(took, 1.08 * limit_s()) << cloud.state();
  EXPECT_LT(cloud.disk(0).reads, 1.06 * kPieces) << "the origin sends it once";
  for (std::size_t host = 1; host < kHosts; ++host) EXPECT_EQ(cloud.disk(host).puts, kPieces - kPieces / 10);
}

TEST_F(Chain, TheDeathOfTwoCostsTheOthersLittle) {
  nics();
  cloud.start_all();
  run_to_half();
  const auto half = to_s(cloud.world.now().time_since_epoch());
  cloud.crash(2);
  cloud.crash(5);
  EXPECT_LT(half + cloud.run_until_done(Seconds{60}), 1.15 * limit_s());
}

TEST_F(Chain, TwoThatStandStillAreLeftWithinASecondEach) {
  nics();
  for (const std::size_t second : {3U, 5U}) {
    SCOPED_TRACE(second);
    ChainCloud other(second, kPieces, kHosts);
    for (std::size_t host = 0; host < kHosts; ++host) other.world.network().set_nic(ChainCloud::id(host), kNic, kNic);
    other.start_all();
    EXPECT_TRUE(other.world.run_until([&] { return other.disk(7).here() > kPieces / 2; }, Seconds{60}));
    const auto half = to_s(other.world.now().time_since_epoch());
    other.process(2)->freeze();
    other.process(second)->freeze();
    EXPECT_LT(half + other.run_until_done(Seconds{60}, {2, second}), 1.1 * limit_s() + 2);
    EXPECT_FALSE(other.disk(2).whole());
    // They go on where they were, and hold nobody up.
    other.process(2)->thaw();
    other.process(second)->thaw();
    other.run_until_done(Seconds{60});
  }
}

TEST_F(Chain, AHostThatHoldsTheRestBackGetsWhatItWantsAndSlowsNobody) {
  nics();
  cloud.start_all();
  cloud.node(2)->distribution.pace(testing::kImage, kLeastFill_bytes_per_s);
  EXPECT_LT(cloud.run_until_done(Seconds{60}, {2}), 1.3 * limit_s()) << cloud.state();
  cloud.world.run_for(Seconds{5});
  const auto zeros = kPieces / 10;
  const auto held_back = cloud.disk(2).here();
  EXPECT_LT(held_back, zeros + 40) << cloud.state();
  std::vector<std::uint32_t> wanted;
  for (std::uint32_t piece = 620; piece < 636; ++piece) wanted.push_back(piece);
  cloud.node(2)->distribution.want(testing::kImage, wanted);
  cloud.world.run_for(Millis{400});
  for (const auto piece : wanted) EXPECT_TRUE(cloud.disk(2).has(piece)) << piece << "\n" << cloud.state();
  EXPECT_LT(cloud.disk(2).here(), held_back + wanted.size() + 2);
  cloud.node(2)->distribution.pace(testing::kImage, 0);
  EXPECT_LT(cloud.run_until_done(Seconds{60}), 1.3 * limit_s()) << cloud.state();
}

TEST_F(Chain, ASlowHostSlowsNobody) {
  for (const std::size_t slow : {1U, 4U, 7U}) {
    SCOPED_TRACE(slow);
    for (const auto& [out, in] : {std::pair(8, 8), std::pair(8, 1), std::pair(1, 8)}) {
      if (out != in && slow != 4) continue;
      SCOPED_TRACE(fmt::format("out 1/{} in 1/{}", out, in));
      ChainCloud other(slow, kPieces, kHosts);
      for (std::size_t host = 0; host < kHosts; ++host) other.world.network().set_nic(ChainCloud::id(host), kNic, kNic);
      other.world.network().set_nic(ChainCloud::id(slow), kNic / static_cast<unsigned>(out),
                                    kNic / static_cast<unsigned>(in));
      other.start_all();
      EXPECT_LT(other.run_until_done(Seconds{100}, {slow}), limit_s() + 1.5) << other.state();
      if (slow == 4) other.run_until_done(Seconds{200});
    }
  }
}

TEST_F(Chain, OfSeveralSlowHostsNeither) {
  for (const auto& slow : {std::set<std::size_t>{1, 5}, std::set<std::size_t>{3, 4, 5}}) {
    ChainCloud other(9, 2 * kPieces, kHosts);
    for (std::size_t host = 0; host < kHosts; ++host) {
      const auto rate = slow.contains(host) ? kNic / 8 : kNic;
      other.world.network().set_nic(ChainCloud::id(host), rate, rate);
    }
    other.start_all();
    EXPECT_LT(other.run_until_done(Seconds{100}, slow), 2 * limit_s() + 4) << other.state();
  }
}

TEST_F(Chain, WhereTheOriginIsSlowNobodyIs) {
  nics();
  cloud.world.network().set_nic("h0", kNic / 8, kNic / 8);
  cloud.start_all();
  EXPECT_LT(cloud.run_until_done(Seconds{200}), 1.05 * limit_s(kNic / 8));
  EXPECT_LT(cloud.disk(0).reads, 1.1 * kPieces);
}

TEST_F(Chain, ALimitOfTheOperatorIsNoStall) {
  nics();
  cloud.limits[0] = kNic / 10;
  cloud.start_all();
  const auto took = cloud.run_until_done(Seconds{200});
  EXPECT_LT(took, 1.06 * limit_s(kNic / 10));
  EXPECT_GT(took, 0.95 * limit_s(kNic / 10));
}

TEST_F(Chain, WhoComesLateCatchesUpFromItsNeighbours) {
  nics();
  for (std::size_t host = 0; host < kHosts; ++host) {
    if (host != 3) cloud.start(host);
  }
  run_to_half();
  cloud.start(3);
  cloud.run_until_done(Seconds{60});
  EXPECT_LT(cloud.disk(0).reads, 1.1 * kPieces) << "not from the origin";
}

TEST_F(Chain, WhoComesBackAsksForWhatItLacks) {
  nics();
  cloud.start_all();
  run_to_half();
  cloud.crash(4);
  cloud.world.run_for(Millis{300});
  cloud.start(4);
  cloud.run_until_done(Seconds{60});
  EXPECT_EQ(cloud.disk(4).puts, kPieces - kPieces / 10);
}

TEST_F(Chain, WhatIsWantedComesFirstFromHoweverFarUp) {
  nics();
  cloud.start_all();
  EXPECT_TRUE(cloud.world.run_until([this] { return cloud.disk(7).here() > kPieces / 5; }, Seconds{60}));
  EXPECT_FALSE(cloud.disk(7).has(600));
  cloud.node(7)->distribution.want(testing::kImage, {600, 601, 9'999'999});
  EXPECT_TRUE(cloud.world.run_until([this] { return cloud.disk(7).has(600) && cloud.disk(7).has(601); }, Seconds{1}));
  EXPECT_LT(cloud.disk(7).here(), kPieces / 2);
  cloud.run_until_done(Seconds{60});
}

// Nothing comes but what is wanted, and that was said once.
TEST_F(Chain, WhatIsWantedWhileThereIsNoUpstreamIsAskedOfTheNext) {
  nics();
  cloud.start(1);
  cloud.node(1)->distribution.pace(testing::kImage, kLeastFill_bytes_per_s);
  cloud.node(1)->distribution.want(testing::kImage, {600, 601});
  cloud.world.run_for(Seconds{3});
  cloud.start(0);
  const auto has_both = [this] { return cloud.disk(1).has(600) && cloud.disk(1).has(601); };
  EXPECT_TRUE(cloud.world.run_until(has_both, Seconds{3})) << cloud.state();
  EXPECT_LT(cloud.disk(1).here(), kPieces / 5);
}

TEST_F(Chain, WhatWasWantedOfAnUpstreamThatDiesIsAskedOfTheNext) {
  cloud.world.network().set_nic("h0", 10 * kPiece_bytes, 10 * kPiece_bytes);  // a piece takes 100 ms
  for (const std::size_t host : {0, 1, 2}) cloud.start(host);
  cloud.world.run_for(Seconds{3});
  cloud.node(2)->distribution.want(testing::kImage, {600, 601});
  cloud.crash(1);
  const auto has_both = [this] { return cloud.disk(2).has(600) && cloud.disk(2).has(601); };
  EXPECT_TRUE(cloud.world.run_until(has_both, Seconds{3})) << cloud.state();
  EXPECT_LT(cloud.disk(2).here(), kPieces / 4);
}

TEST_F(Chain, WhoHasItAllKeepsNothingOfItInMemory) {
  nics();
  for (const std::size_t host : {0, 1}) cloud.start(host);
  cloud.run_until_done(Seconds{60}, {2, 3, 4, 5, 6, 7});
  cloud.world.run_for(Seconds{8});  // nobody is served any more
  const auto before = cloud.disk(1).reads;
  cloud.start(2);
  cloud.run_until_done(Seconds{60});
  EXPECT_EQ(cloud.disk(1).reads - before, kPieces - kPieces / 10) << "it reads it from its disk";
}

TEST_F(Chain, AFullDiskIsThatHostsOwnTrouble) {
  nics();
  cloud.disk(3).full = true;
  cloud.start_all();
  EXPECT_LT(cloud.run_until_done(Seconds{60}, {3}), 1.1 * limit_s() + 2);
  EXPECT_NE(cloud.node(3)->distribution.progress()[0].trouble, "");
  cloud.disk(3).full = false;
  cloud.run_until_done(Seconds{90});
}

// What the length of a chain costs: each hop is a piece long, on 1 Gbit/s half a millisecond, and the way to the next
// host. A list of digests must not wait for itself at each.
TEST(ChainLength, EachHostMoreCostsOnePieceAndAWay) {
  constexpr std::uint64_t kGigabit = 125'000'000;
  constexpr std::size_t kLong = 60;
  ChainCloud cloud(1, 160, kLong);
  for (std::size_t host = 0; host < kLong; ++host)
    cloud.world.network().set_nic(ChainCloud::id(host), kGigabit, kGigabit);
  cloud.start_all();
  const auto took = cloud.run_until_done(Seconds{60});
  const auto limit = static_cast<double>(cloud.payload()) / kGigabit;
  const auto hop_ms = 1e3 * (took - limit) / kLong;
  RecordProperty("hop_ms", std::to_string(hop_ms));
  EXPECT_LT(hop_ms, 0.9);
}

class LongChain : public ::testing::Test {
 public:
  static constexpr std::size_t kLong = 70;
  static constexpr std::uint64_t kGigabit = 125'000'000;

  LongChain() {
    cloud.world.poll_only_woken();
    for (std::size_t host = 0; host < kLong; ++host)
      cloud.world.network().set_nic(ChainCloud::id(host), kGigabit, kGigabit);
  }
  [[nodiscard]] double limit_s() const { return static_cast<double>(cloud.payload()) / kGigabit; }

  ChainCloud cloud{1, 200, kLong};
};

// Of so many hosts and pieces a run is a block: 33 us on 1 Gbit/s, and the way 100.
TEST_F(LongChain, AHostMoreCostsARunAndAWay) {
  cloud.start_all();
  const auto took = cloud.run_until_done(Seconds{60});
  EXPECT_LT(1e3 * (took - 1.02 * limit_s()) / kLong, 0.2) << took << " of " << limit_s();
  for (std::size_t host = 1; host < kLong; ++host) EXPECT_EQ(cloud.disk(host).puts, 200 - 200 / 10);
}

TEST_F(LongChain, ThatWaitsForItsOriginBeginsSoonAfterItComes) {
  for (const int waited_s : {1, 3, 20}) {
    SCOPED_TRACE(waited_s);
    ChainCloud other(1, 100, std::vector<std::string>(kLong, "cloud-a"));
    other.world.poll_only_woken();
    for (auto host = kLong; host-- > 1;) other.start(host);
    other.world.run_for(Seconds{waited_s});
    other.start(0);
    EXPECT_LT(other.run_until_done(Seconds{60}), 2.5) << other.state();
    EXPECT_LT(other.disk(0).reads, 110);
  }
}

TEST_F(LongChain, WhoDiesInTheMiddleOfAPieceCostsTheOthersLittle) {
  cloud.start_all();
  const auto begun = cloud.world.now();
  EXPECT_TRUE(cloud.world.run_until([this] { return cloud.disk(kLong - 1).here() > 100; }, Seconds{60}));
  for (const std::size_t host : {10, 11, 40, 60}) cloud.crash(host);
  cloud.process(55)->freeze();
  cloud.run_until_done(Seconds{60}, {55});
  EXPECT_LT(to_s(cloud.world.now() - begun), limit_s() + 2) << cloud.state();
}

TEST(ChainOverWan, ItCrossesOnceWhateverTheOrder) {
  constexpr std::uint64_t kMany = 1000;
  for (const auto* order : {"aabb", "abab", "abba"}) {
    SCOPED_TRACE(order);
    std::vector<std::string> sites;
    for (const char* at = order; *at != 0; ++at) sites.push_back(std::string("cloud-") + *at);
    ChainCloud cloud(1, kMany, sites);
    for (std::size_t host = 0; host < 4; ++host)
      cloud.world.network().set_nic(ChainCloud::id(host), 50'000'000, 50'000'000);
    cloud.start_all();
    const auto took = cloud.run_until_done(Seconds{100});
    const auto limit = static_cast<double>(cloud.payload()) / 12.5e6;
    EXPECT_LT(took, 1.06 * limit);
    const auto carried = cloud.world.network().carried("cloud-a", "cloud-b");
    EXPECT_LT(static_cast<double>(carried), 1.01 * static_cast<double>(cloud.payload()));
  }
}

TEST(ChainOverWan, TheNextTakesOverFromADeadHead) {
  ChainCloud cloud(1, 800, {"cloud-a", "cloud-a", "cloud-b", "cloud-b", "cloud-b"});
  cloud.start_all();
  EXPECT_TRUE(cloud.world.run_until([&] { return cloud.disk(4).here() > 400; }, Seconds{60}));
  cloud.crash(2);
  cloud.world.run_for(Millis{200});
  cloud.start(2);
  cloud.run_until_done(Seconds{60});
  const auto carried = cloud.world.network().carried("cloud-a", "cloud-b");
  EXPECT_LT(static_cast<double>(carried), 1.03 * static_cast<double>(cloud.payload()));
}

// Its head, behind 40 hosts of a site that is cut off, goes past them.
TEST(ChainOverWan, ASiteThatIsCutOffKeepsTheNextFromNothing) {
  std::vector<std::string> sites{"cloud-a"};
  sites.insert(sites.end(), 40, "cloud-b");
  sites.insert(sites.end(), 2, "cloud-c");
  ChainCloud cloud(1, 400, sites);
  cloud.world.poll_only_woken();
  cloud.start_all();
  EXPECT_TRUE(cloud.world.run_until([&] { return cloud.disk(42).here() > 150; }, Seconds{60}));
  cloud.world.network().cut("cloud-a", "cloud-b");
  cloud.world.network().cut("cloud-b", "cloud-c");
  const auto both = [&] { return cloud.disk(41).whole() && cloud.disk(42).whole(); };
  EXPECT_TRUE(cloud.world.run_until(both, Seconds{15})) << cloud.state();
}

// An audit found them bad.
TEST(ChainRepair, WhatADiskHasLostComesFromWhoeverHasItAlsoWhereTheOriginLostIt) {
  ChainCloud cloud(1, 200, 4);
  cloud.start_all();
  cloud.run_until_done(Seconds{60});
  for (const std::size_t host : {0, 2, 3}) {
    SCOPED_TRACE(ChainCloud::id(host));
    for (const std::uint64_t piece : {3, 44, 198}) cloud.disk(host).lose(piece);
    cloud.node(host)->distribution.look_again(testing::kImage);
    EXPECT_LT(cloud.run_until_done(Seconds{30}), 5.0);
  }
}

TEST(ChainRepair, WhatEachHasLostComesFromTheOthers) {
  ChainCloud cloud(2, 200, 3);
  cloud.start_all();
  cloud.run_until_done(Seconds{60});
  cloud.disk(0).lose(5);
  cloud.disk(1).lose(6);
  cloud.disk(2).lose(5);
  for (const std::size_t host : {0, 1, 2}) cloud.node(host)->distribution.look_again(testing::kImage);
  EXPECT_LT(cloud.run_until_done(Seconds{30}), 10.0);
}

TEST(ChainRepair, WhatAllHaveLostIsWaitedForUntilSomebodyBringsIt) {
  ChainCloud cloud(2, 200, 3);
  cloud.start_all();
  cloud.run_until_done(Seconds{60});
  for (const std::size_t host : {0, 1, 2}) {
    cloud.disk(host).lose(5);
    cloud.node(host)->distribution.look_again(testing::kImage);
  }
  cloud.world.run_for(Seconds{20});
  EXPECT_FALSE(cloud.disk(0).whole());
  ASSERT_TRUE(cloud.disk(2).put(5, testing::content_of(5)));  // somebody brings it
  cloud.node(2)->distribution.look_again(testing::kImage);
  cloud.run_until_done(Seconds{30});
}

}  // namespace
}  // namespace godwit::image
