// A cluster's whole life in simulated time: real agents, switches, clouds and sky, simulated QEMUs.
#include "sim/host.h"
#include "sim/world_rig.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace godwit::simtest
