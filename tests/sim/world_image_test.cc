// Images in whole simulated worlds: from a file of the user's to the hosts of two clouds, whatever fails on the way.
#include "sim/image_world.h"

#include <cstdlib>

namespace godwit::simtest {
namespace {

TEST(WorldImages, AnImageComesToEveryHostOfTheCloudsThatItIsBroughtTo) {
  ImageWorld world(1);
  ASSERT_TRUE(world.begin()) << world.show();
  ASSERT_TRUE(world.comes_everywhere()) << world.show();
  const auto done = [&] {
    const auto pushes = world.view().pushes;
    return pushes.size() == 2 && pushes[0].state == wire::PushState::done && pushes[1].state == wire::PushState::done;
  };
  EXPECT_TRUE(world.within(done, Seconds{10})) << world.show();
  // Once to each cloud, and not the hole.
  for (const auto& push : world.view().pushes) EXPECT_LT(push.sent_bytes, kImage_bytes - kHole_bytes + 100'000);
}

// Of two MiB for each cloud the second waits for the rate that the first has used up.
TEST(WorldImages, SkyGivesNoFasterThanItIsTold) {
  constexpr std::uint64_t kRate = 100'000;
  ImageWorld world(10);
  TimePoint begun{};
  ASSERT_TRUE(world.begin([&](const std::string&) {
    world.rig.sky()->images().limit(kRate);
    begun = world.rig.world.now();
  })) << world.show();
  ASSERT_TRUE(world.comes_everywhere()) << world.show();
  const auto took = to_s(world.rig.world.now() - begun);
  const auto one = static_cast<double>(kImage_bytes - kHole_bytes) / kRate;
  EXPECT_GT(took, one);
  EXPECT_LT(took, one + 10) << "and no slower";
}

TEST(WorldImages, WhatAClusterIsMadeOfIsBroughtToItsClouds) {
  ImageWorld world(6);
  ASSERT_TRUE(world.take_in()) << world.show();
  ASSERT_TRUE(world.rig.begin_cluster({"cloud-a", "cloud-a"}, kName));
  const auto ready = [&] {
    EXPECT_NE(world.rig.view().state, wire::ClusterState::degraded) << wire::encode(world.rig.view());
    return world.rig.view().state == wire::ClusterState::ready;
  };
  ASSERT_TRUE(world.within(ready)) << wire::encode(world.rig.view()) << world.show();
  ASSERT_EQ(world.view().pushes.size(), 1U) << world.show();
  EXPECT_EQ(world.view().pushes[0].cloud, "cloud-a");
}

TEST(WorldImages, ANameThatIsGoneTakesTheContentWithIt) {
  ImageWorld world(2);
  ASSERT_TRUE(world.begin()) << world.show();
  ASSERT_TRUE(world.comes_everywhere()) << world.show();
  ASSERT_TRUE(world.rig.call("DELETE", "/v1/images/" + kName));
  const auto nowhere = [&] {
    return std::ranges::none_of(world.rig.agent_hosts(), [&](const std::string& host) { return world.holds(host); });
  };
  EXPECT_TRUE(world.within(nowhere)) << world.show();
}

TEST(WorldImages, AContentThatAnotherTenantHasNamedIsNamedByWhoBringsAllOfItToo) {
  ImageWorld world(3);
  ASSERT_TRUE(world.begin([&](const std::string& id) {
    const cloud::User bob{"bob", {}, false};
    ASSERT_TRUE(world.rig.cloud("cloud-a")->images().name_content(bob, {"bobs", id, "", "a manifest", "a signature"}));
  })) << world.show();
  ASSERT_TRUE(world.comes_everywhere()) << world.show();
  const auto pushes = world.view().pushes;
  ASSERT_EQ(pushes.size(), 2U);
  EXPECT_EQ(pushes[0].sent_bytes, pushes[1].sent_bytes) << "as if nobody had it";
}

// ---- what disks have altered

TEST(WorldImages, WhatDisksHaveAlteredIsFoundByACheckAndComesAgain) {
  ImageWorld world(4);
  ASSERT_TRUE(world.begin() && world.comes_everywhere()) << world.show();
  world.flip("a2", kAgentDisk, 70'000);
  world.flip("a2", kAgentDisk, 2'500'000);
  world.flip("b1", kAgentDisk, 1);
  world.flip("cloud-a", kDepotDisk, 70'000);  // where the cloud keeps it
  EXPECT_FALSE(world.holds("a2") || world.holds("b1"));
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/" + kName + "/check"));
  ASSERT_TRUE(world.within([&] { return world.is_everywhere() && world.check_is_settled(); })) << world.show_check();
  EXPECT_EQ(world.found("cloud-a", "a2").bad, 2U) << world.show_check();
  EXPECT_EQ(world.found("cloud-a", "a2").repaired, 2U);
  EXPECT_EQ(world.found("cloud-b", "b1").bad, 1U);
  EXPECT_EQ(world.found("cloud-a", "a1").bad, 0U);
  EXPECT_EQ(world.found("cloud-a", "").bad, 1U) << "in the cloud's own store";
  EXPECT_EQ(world.found("cloud-a", "").repaired, 1U);
  EXPECT_TRUE(world.is_right("cloud-a", kDepotDisk));
}

// Every host of the cloud has lost the same: the cloud's own store has it, and where that lost it too, the user's sky.
TEST(WorldImages, WhatAWholeCloudHasLostComesFromTheUsersSky) {
  ImageWorld world(5);
  ASSERT_TRUE(world.begin() && world.comes_everywhere()) << world.show();
  for (const auto* host : {"a1", "a2", "a3"}) world.flip(host, kAgentDisk, 70'000);
  world.flip("cloud-a", kDepotDisk, 70'000);
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/" + kName + "/check"));
  ASSERT_TRUE(world.within([&] { return world.is_everywhere() && world.check_is_settled(); }, Seconds{300}))
      << world.show_check();
  EXPECT_TRUE(world.is_right("cloud-a", kDepotDisk));
}

TEST(WorldImages, WhatACheckFoundIsKnownAfterARestartAndIsNotLookedForAgain) {
  ImageWorld world(6);
  ASSERT_TRUE(world.begin() && world.comes_everywhere()) << world.show();
  world.flip("a2", kAgentDisk, 70'000);
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/" + kName + "/check"));
  ASSERT_TRUE(world.within([&] { return world.check_is_settled() && world.found("cloud-a", "a2").bad == 1; }));
  world.rig.kill("a2", "agent");
  world.rig.start("a2", "agent");
  world.rig.world.run_for(Seconds{20});
  EXPECT_EQ(world.found("cloud-a", "a2").bad, 1U) << world.show_check();
  EXPECT_EQ(world.found("cloud-a", "a2").repaired, 1U);
}

TEST(WorldImages, WhatSkysOwnDiskHasAlteredComesFromACloud) {
  ImageWorld world(9);
  ASSERT_TRUE(world.begin() && world.comes_everywhere()) << world.show();
  world.flip("home", kSkyDisk, 70'000);
  world.flip("home", kSkyDisk, 2'500'000);
  EXPECT_FALSE(world.is_right("home", kSkyDisk));
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/" + kName + "/check"));
  ASSERT_TRUE(world.within([&] { return world.check_is_settled(); })) << world.show_check();
  EXPECT_TRUE(world.is_right("home", kSkyDisk)) << world.show_check();
  EXPECT_EQ(world.found("", "").bad, 2U) << world.show_check();
  EXPECT_EQ(world.found("", "").repaired, 2U);
  const auto number = world.found("", "").number;
  world.restart_sky();
  ASSERT_TRUE(world.within([&] { return world.check_is_settled(); })) << world.show_check();
  EXPECT_EQ(world.found("", "").bad, 2U) << "it is known after a restart";
  EXPECT_EQ(world.found("", "").number, number);
}

TEST(WorldImages, WhatSkyAloneHasAndItsDiskHasAlteredIsSaidAndComesFromTheFileOnceMore) {
  ImageWorld world(10);
  ASSERT_TRUE(world.take_in()) << world.show();
  world.flip("home", kSkyDisk, 70'000);
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/" + kName + "/check"));
  ASSERT_TRUE(world.within([&] { return world.found("", "").done; })) << world.show_check();
  EXPECT_EQ(world.found("", "").bad, 1U);
  EXPECT_TRUE(world.found("", "").problem.contains("no cloud has it")) << world.show_check();
  ASSERT_TRUE(world.take_in()) << world.show();
  ASSERT_TRUE(world.within([&] { return world.found("", "").repaired == 1; })) << world.show_check();
  EXPECT_EQ(world.found("", "").problem, "");
  EXPECT_TRUE(world.is_right("home", kSkyDisk));
}

// A cloud from which a name was taken, or whose store was lost, gets the image again.
TEST(WorldImages, ACloudThatHasLostAnImageGetsItAgain) {
  ImageWorld world(7);
  ASSERT_TRUE(world.begin() && world.comes_everywhere()) << world.show();
  ASSERT_TRUE(world.rig.cloud("cloud-a")->images().remove({"alice", {}, false}, kName));
  ASSERT_TRUE(world.within([&] { return !world.says("a1") && !world.says("a2"); }));
  EXPECT_TRUE(world.comes_everywhere()) << world.show();
}

// ---- disks that are full

TEST(WorldImages, AHostWhoseDiskWasFullTakesTheImageWithinAMinuteOfHavingRoom) {
  ImageWorld world(8);
  world.rig.world.host("a2").page_files().fill_disk(true);
  ASSERT_TRUE(world.begin()) << world.show();
  ASSERT_TRUE(world.within([&] { return world.holds("a1") && world.holds("a3"); })) << world.show();
  EXPECT_FALSE(world.holds("a2"));
  world.rig.world.host("a2").page_files().fill_disk(false);
  EXPECT_TRUE(world.within([&] { return world.holds("a2"); }, Seconds{75})) << world.show();
}

// Processes die, hosts lose their power, and come back.
TEST(WorldImages, WhateverDiesOnTheWayTheImageComesToEveryHost) {
  const auto* wanted = std::getenv("GODWIT_SEEDS");
  const std::uint64_t seeds = wanted ? std::strtoull(wanted, nullptr, 10) : 24;
  for (std::uint64_t seed = 100; seed < 100 + seeds; ++seed) {
    ImageWorld world(seed);
    ASSERT_TRUE(world.begin()) << "seed " << seed << "\n" << world.show();
    auto& rig = world.rig;
    for (int accident = 0; accident < 6; ++accident) {
      rig.world.run_for(Millis{static_cast<std::int64_t>(rig.world.draw_below(700))});
      const auto& [host, process] = rig.processes()[rig.world.draw_below(rig.processes().size())];
      if (rig.world.draw_below(4) == 0) {
        rig.power_off(host, Millis{static_cast<std::int64_t>(500 + rig.world.draw_below(5'000))});
        continue;
      }
      rig.kill(host, process);
      rig.world.at(rig.world.now() + Millis{static_cast<std::int64_t>(rig.world.draw_below(3'000))},
                   [&rig, host, process] { rig.start(host, process); });
    }
    ASSERT_TRUE(world.comes_everywhere()) << "seed " << seed << "\n" << world.show();
  }
}

}  // namespace
}  // namespace godwit::simtest
