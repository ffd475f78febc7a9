// A cluster's whole life in simulated time: real agents, switches, clouds and sky, simulated QEMUs.
#include "sim/host.h"
#include "sim/world_rig.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::simtest {
namespace {

std::string show(WorldRig& rig) {
  std::string text = rig.describe() + "\n";
  for (const auto& line : rig.world.trace()) text += line + "\n";
  return text;
}

RigPlan two_hosts_each() {
  RigPlan plan;
  plan.hosts_per_cloud = 2;
  return plan;
}

TEST(WorldStory, AClusterIsCreatedMovesToOneCloudAndIsDeleted) {
  WorldRig rig(1, two_hosts_each());
  rig.world.keep_trace(true);
  ASSERT_TRUE(rig.create_cluster({"cloud-a", "cloud-b", "cloud-a"})) << show(rig);
  ASSERT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{10})) << show(rig);
  const auto ordered = rig.migrate("cloud-b");
  ASSERT_TRUE(ordered) << ordered.error().message;
  EXPECT_EQ(ordered->migrations.size(), 2U);
  const auto moved = [&] {
    const auto view = rig.view();
    return rig.settled() && std::all_of(view.members.begin(), view.members.end(),
                                        [](const auto& member) { return member.cloud == "cloud-b"; });
  };
  ASSERT_TRUE(rig.world.run_until(moved, Seconds{60})) << show(rig);
  for (const auto& each : ordered->migrations) {
    const auto report = rig.ask<wire::MigrationReport>("GET", "/v1/migrations/" + each.id);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->phase, wire::MigrationPhase::completed);
    EXPECT_GT(report->cost.downtime_ms, 50);
    EXPECT_LT(report->cost.downtime_ms, 400);
  }
  ASSERT_TRUE(rig.call("DELETE", "/v1/clusters/" + kCluster));
  ASSERT_TRUE(rig.world.run_until([&] { return rig.all_gone() && rig.view().name.empty(); }, Seconds{60})) << show(rig);
  EXPECT_EQ(rig.guests.problem(), "");
}

// Its memory is all alike: next to nothing crosses. All of it would take the link five seconds.
TEST(WorldStory, WhatIsSavedOnTheLinkDoesNotWaitForTheLinksRate) {
  RigPlan plan;
  plan.qemu.memory_bytes = 64UL << 20U;
  plan.qemu.dirty_bytes_per_s = 0;
  WorldRig rig(1, plan);
  ASSERT_TRUE(rig.create_cluster({"cloud-a"})) << show(rig);
  const auto ordered = rig.migrate("cloud-b");
  ASSERT_TRUE(ordered) << ordered.error().message;
  ASSERT_EQ(ordered->migrations.size(), 1U);
  const auto phase = [&] { return rig.phase(ordered->migrations[0].id); };
  ASSERT_TRUE(rig.world.run_until([&] { return phase() >= wire::MigrationPhase::memory; }, Seconds{60})) << show(rig);
  const auto began = rig.world.now();
  ASSERT_TRUE(rig.world.run_until([&] { return phase() >= wire::MigrationPhase::paused; }, Seconds{60})) << show(rig);
  const auto took = rig.world.now() - began;
  EXPECT_LT(took, Seconds{1}) << to_s(took) << " s";
}

// b2 takes part for its LAN, whatever runs there; also when everything has left its cloud.
TEST(WorldStory, OneHostJoinsTheNetworkToItsLanAndAllHearOfIt) {
  auto plan = two_hosts_each();
  plan.lans["b2"] = {{"alice", kCluster, "eth1"}, {"alice", "another", "eth2"}};
  WorldRig rig(4, plan);
  ASSERT_TRUE(rig.create_cluster({"cloud-a", "cloud-b"})) << show(rig);
  const auto uplink = [&] {
    const auto list = rig.ask<wire::NetworkList>("GET", "/v1/networks");
    return list && !list->networks.empty() ? list->networks[0].uplink : wire::Location{};
  };
  ASSERT_TRUE(rig.world.run_until([&] { return uplink().host == "b2" && !uplink().record.empty(); }, Seconds{60}))
      << show(rig);
  EXPECT_EQ(uplink().cloud, "cloud-b");
  ASSERT_TRUE(rig.migrate("cloud-a"));
  ASSERT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{60})) << show(rig);
  rig.world.run_for(Seconds{10});
  EXPECT_EQ(uplink().host, "b2");
}

TEST(WorldStory, TheHostsOfACloudHaveTheKeysOfTheTenantsThatTheyServe) {
  WorldRig rig(3, two_hosts_each());
  ASSERT_TRUE(rig.create_cluster({"cloud-a", "cloud-a"})) << show(rig);
  const auto key_at = [&](const std::string& host) { return rig.agent(host)->directory().key_of("alice"); };
  rig.world.run_for(Seconds{1});
  ASSERT_TRUE(key_at("a1").has_value());
  EXPECT_EQ(key_at("a1"), key_at("a2"));
  EXPECT_FALSE(key_at("b1").has_value());
  const auto before = key_at("a1");
  ASSERT_TRUE(rig.migrate("cloud-b"));
  ASSERT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{60})) << show(rig);
  rig.world.run_for(Seconds{1});
  ASSERT_TRUE(key_at("b1").has_value());
  EXPECT_EQ(key_at("b1"), key_at("b2"));
  EXPECT_NE(key_at("b1"), before) << "each cloud has its own";
  EXPECT_FALSE(key_at("a1").has_value()) << "nothing of the tenant is there any more, not even a page";
}

// A source that its destination never hears from again, since neither cloud introduces the hosts any more.
TEST(WorldStory, TheRecordOfAMigrationThatNobodyAsksForIsDroppedInTheEnd) {
  WorldRig rig(17);
  ASSERT_TRUE(rig.create_cluster({"cloud-a"})) << show(rig);
  const auto ordered = rig.migrate("cloud-b");
  ASSERT_TRUE(ordered) << ordered.error().message;
  const auto connecting = [&] { return rig.phase(ordered->migrations[0].id) >= wire::MigrationPhase::connecting; };
  ASSERT_TRUE(rig.world.run_until(connecting, Seconds{30}));
  rig.kill("a1", "agent");
  rig.start("a1", "agent");
  ASSERT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{300})) << show(rig);
  const auto dropped = [&] { return rig.migrations_of("a1").empty() && rig.migrations_of("b1").empty(); };
  EXPECT_TRUE(rig.world.run_until(dropped, Seconds{3'700})) << rig.describe();
}

// Whatever is restarted, nothing that runs stops: the guests write on, and all that is known of them is rebuilt.
TEST(WorldStory, EveryProcessRestartsAtRandomTimesAndNoInstanceStops) {
  for (std::uint64_t seed = 100; seed < 105; ++seed) {
    WorldRig rig(seed, two_hosts_each());
    rig.world.keep_trace(true);
    ASSERT_TRUE(rig.create_cluster({"cloud-a", "cloud-b", "cloud-a"})) << show(rig);
    ASSERT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{10})) << show(rig);
    for (int i = 0; i < 30; ++i) {
      const auto& [host, process] = rig.processes()[rig.world.draw_below(rig.processes().size())];
      rig.kill(host, process);
      const auto away = Millis{static_cast<std::int64_t>(rig.world.draw_below(2'000))};
      rig.world.at(rig.world.now() + away, [&rig, host, process] { rig.start(host, process); });
      const auto stopped = [&] {
        return std::any_of(rig.instances().begin(), rig.instances().end(),
                           [&](const auto& instance) { return rig.guests.running(instance) != 1; });
      };
      const Millis until_next{static_cast<std::int64_t>(rig.world.draw_below(1'000))};
      ASSERT_FALSE(rig.world.run_until(stopped, until_next)) << show(rig);
    }
    ASSERT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{120})) << show(rig);
    EXPECT_EQ(rig.guests.problem(), "");
  }
}

}  // namespace
}  // namespace godwit::simtest
