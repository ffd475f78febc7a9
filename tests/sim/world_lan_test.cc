// Several hosts, of a cloud or of two, that could join a network to its LAN, in whole simulated worlds: real agents,
// switches, clouds and sky.
#include "sim/host.h"
#include "sim/world_rig.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::simtest {
namespace {

class LanWorld {
 public:
  explicit LanWorld(std::uint64_t seed, const std::vector<std::string>& offering = {"b1", "b2"})
      : rig(seed, plan(offering)) {}

  // A cluster with a member at each cloud, its network joined to its LAN by one of the hosts that offer it.
  [[nodiscard]] bool begin() {
    if (!rig.begin_cluster({"cloud-a", "cloud-b"})) return false;
    const auto ready = [&] { return rig.view().state == wire::ClusterState::ready; };
    return until(ready, Seconds{60}) && until([&] { return joined_at().size() == 1 && others_know(); }, Seconds{90});
  }
  // Looks at every moment that goes by.
  void go_on(Nanos span) {
    for (const auto end = rig.world.now() + span; rig.world.now() < end;) {
      rig.world.run_for(Millis{50});
      most = std::max(most, joined_at().size());
    }
  }
  template <class Condition>
  bool until(Condition condition, Nanos limit) {
    for (const auto end = rig.world.now() + limit; rig.world.now() < end;) {
      if (condition()) return true;
      go_on(Millis{200});
    }
    return condition();
  }
  [[nodiscard]] std::vector<std::string> joined_at() {
    std::vector<std::string> out;
    for (const auto& host : rig.agent_hosts()) {
      const auto* overlay = rig.overlay(host);
      if (!overlay) continue;
      for (const auto& [id, segment] : overlay->segments().all()) {
        if (segment->bridges(rig.world.now())) out.push_back(host);
      }
    }
    return out;
  }
  // The switch of the other cloud's host sends there what is for the LAN.
  [[nodiscard]] bool others_know() {
    const auto at = joined_at();
    const auto* overlay = rig.overlay("a1");
    if (at.size() != 1 || !overlay || overlay->networks().empty()) return false;
    return overlay->networks()[0].uplink.host == at[0];
  }
  [[nodiscard]] static std::string other(const std::string& host) { return host == "b1" ? "b2" : "b1"; }

  WorldRig rig;
  std::size_t most{0};

 private:
  static RigPlan plan(const std::vector<std::string>& offering) {
    RigPlan plan;
    plan.hosts_per_cloud = 2;
    for (const auto& host : offering) plan.lans[host] = {{"alice", kCluster, "eth1"}};
    return plan;
  }
};

constexpr Seconds kTakenOver{75};  // a minute of silence, and who asks next

TEST(WorldLan, WhenTheHostThatHasTheLanDiesAnotherOneTakesOverAndAllHearOfIt) {
  LanWorld lan(1);
  ASSERT_TRUE(lan.begin()) << lan.rig.describe();
  lan.go_on(Seconds{30});
  const auto first = lan.joined_at().at(0);
  lan.rig.power_off(first, Seconds{200});
  const auto died = lan.rig.world.now();
  const auto taken = [&] { return lan.joined_at() == std::vector{LanWorld::other(first)} && lan.others_know(); };
  ASSERT_TRUE(lan.until(taken, kTakenOver)) << lan.rig.describe();
  EXPECT_GT(lan.rig.world.now() - died, Seconds{45}) << "before its lease had ended";
  // It comes back, and has it no more.
  lan.go_on(Seconds{300});
  EXPECT_EQ(lan.joined_at(), std::vector{LanWorld::other(first)});
  EXPECT_EQ(lan.most, 1U);
}

TEST(WorldLan, AHostThatCannotAskItsCloudEndsByItselfBeforeAnotherOneTakesOver) {
  LanWorld lan(2);
  ASSERT_TRUE(lan.begin()) << lan.rig.describe();
  lan.go_on(Seconds{30});
  const auto first = lan.joined_at().at(0);
  lan.rig.world.network().cut(first, "cloud-b");
  ASSERT_TRUE(lan.until([&] { return lan.joined_at().empty(); }, Seconds{50}));
  ASSERT_TRUE(lan.until([&] { return lan.joined_at() == std::vector{LanWorld::other(first)}; }, kTakenOver));
  lan.rig.world.network().heal(first, "cloud-b");
  lan.go_on(Seconds{120});
  EXPECT_EQ(lan.joined_at(), std::vector{LanWorld::other(first)});
  EXPECT_EQ(lan.most, 1U);
}

TEST(WorldLan, AgentAndCloudMayRestartAndTheLanStaysWhereItIs) {
  LanWorld lan(3);
  ASSERT_TRUE(lan.begin()) << lan.rig.describe();
  lan.go_on(Seconds{30});
  const auto first = lan.joined_at();
  for (const auto& [host, process] : {std::pair{first.at(0), "agent"}, std::pair{std::string("cloud-b"), "cloud"}}) {
    lan.rig.kill(host, process);
    for (int i = 0; i < 30; ++i) {
      lan.go_on(Millis{500});
      ASSERT_EQ(lan.joined_at(), first) << process;
    }
    lan.rig.start(host, process);
    for (int i = 0; i < 240; ++i) {
      lan.go_on(Millis{500});
      ASSERT_EQ(lan.joined_at(), first) << process;
    }
  }
}

TEST(WorldLan, OfTwoCloudsThatCouldAsTheNetworkBeginsOneDoesAndNeverBoth) {
  for (std::uint64_t seed = 20; seed < 28; ++seed) {
    LanWorld lan(seed, {"a2", "b1"});
    ASSERT_TRUE(lan.begin()) << "seed " << seed << lan.rig.describe();
    lan.go_on(Seconds{30});
    EXPECT_EQ(lan.most, 1U) << "seed " << seed;
    EXPECT_TRUE(lan.others_know()) << "seed " << seed;
  }
}

// With its agent dead nobody tells the switch to end.
TEST(WorldLan, ASwitchWhoseAgentIsDeadEndsByItself) {
  LanWorld lan(4);
  ASSERT_TRUE(lan.begin()) << lan.rig.describe();
  lan.go_on(Seconds{30});
  const auto first = lan.joined_at().at(0);
  lan.rig.kill(first, "agent");
  ASSERT_TRUE(lan.until([&] { return lan.joined_at() == std::vector{LanWorld::other(first)}; }, kTakenOver));
  lan.rig.kill(first, "switch");
  lan.go_on(Millis{50});
  lan.rig.start(first, "switch");
  lan.go_on(Seconds{30});
  EXPECT_EQ(lan.joined_at(), std::vector{LanWorld::other(first)});
  EXPECT_EQ(lan.most, 1U);
}

TEST(WorldLan, NeverTwoHostsWhateverIsCutKilledOrStartedAnew) {
  for (std::uint64_t seed = 10; seed < 14; ++seed) {
    LanWorld lan(seed);
    auto& world = lan.rig.world;
    ASSERT_TRUE(lan.begin()) << "seed " << seed << lan.rig.describe();
    for (int i = 0; i < 12; ++i) {
      const std::string host = world.draw_below(2) == 0 ? "b1" : "b2";
      const Millis span{1000 + static_cast<std::int64_t>(world.draw_below(120'000))};
      const auto after = [&](std::function<void()> what) { world.at(world.now() + span, std::move(what)); };
      const auto crash = [&](const std::string& at, const std::string& process) {
        lan.rig.kill(at, process);
        after([&lan, at, process] { lan.rig.start(at, process); });
      };
      switch (world.draw_below(5)) {
        case 0: lan.rig.power_off(host, span); break;
        case 1: crash(host, "agent"); break;
        case 2: crash(host, "switch"); break;
        case 3: crash("cloud-b", "cloud"); break;
        default: world.network().cut(host, "cloud-b"); after([&world, host] { world.network().heal(host, "cloud-b"); });
      }
      lan.go_on(Millis{static_cast<std::int64_t>(world.draw_below(90'000))});
    }
    ASSERT_LE(lan.most, 1U) << "seed " << seed;
    EXPECT_TRUE(lan.until([&] { return lan.joined_at().size() == 1 && lan.others_know(); }, Seconds{300}))
        << "seed " << seed << lan.rig.describe();
  }
}

}  // namespace
}  // namespace godwit::simtest
