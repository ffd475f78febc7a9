// Who believes what of where an instance is, in whole simulated worlds: signed by real clouds, carried by real agents,
// judged by real switches.
#include "sim/world_rig.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::simtest {
namespace {

class WorldLocations : public ::testing::Test {
 protected:
  static RigPlan two_hosts_each() {
    RigPlan plan;
    plan.hosts_per_cloud = 2;
    return plan;
  }
  void SetUp() override {
    ASSERT_TRUE(rig.create_cluster({"cloud-a", "cloud-b", "cloud-a"})) << rig.describe();
    ASSERT_TRUE(rig.world.run_until([&] { return rig.settled() && all_agree(); }, Seconds{20})) << rig.describe();
  }

  static std::string host_of(const wire::Network& network, const std::string& instance) {
    const auto found = std::ranges::find(network.members, instance, &wire::Member::instance);
    return found == network.members.end() ? "" : found->location.host;
  }
  [[nodiscard]] std::string where(const std::string& instance) {
    for (const auto& host : rig.agent_hosts()) {
      if (rig.guests.runs(instance, host)) return host;
    }
    return {};
  }
  // Each switch that has the network believes each instance to be where it runs.
  [[nodiscard]] bool all_agree() {
    return std::ranges::all_of(rig.instances(), [&](const std::string& instance) { return agree_on(instance); });
  }
  [[nodiscard]] bool agree_on(const std::string& instance) {
    const auto at = where(instance);
    if (at.empty()) return false;
    return std::ranges::all_of(rig.agent_hosts(), [&](const std::string& host) {
      const auto* overlay = rig.overlay(host);
      if (!overlay) return false;
      const auto networks = overlay->networks();
      return networks.empty() || host_of(networks.at(0), instance) == at;
    });
  }
  std::uint64_t unproven() {
    std::uint64_t sum = 0;
    for (const auto& host : rig.agent_hosts()) sum += rig.overlay(host)->counters().drops(overlay::Drop::unproven);
    return sum;
  }
  void move(const std::string& to_cloud) {
    const auto ordered = rig.migrate(to_cloud);
    ASSERT_TRUE(ordered) << ordered.error().message;
    for (const auto& each : ordered->migrations) {
      // Whoever has it stands still, then runs where it has gone: by then everybody has heard, and believes it.
      const auto runs_there = [&] { return !where(each.instance).empty() && where(each.instance) != each.from_host; };
      ASSERT_TRUE(rig.world.run_until(runs_there, Seconds{120})) << rig.describe();
      EXPECT_TRUE(agree_on(each.instance)) << each.instance << "\n" << rig.describe();
    }
    ASSERT_TRUE(rig.world.run_until([&] { return rig.settled() && all_agree(); }, Seconds{120})) << rig.describe();
  }

  WorldRig rig{7, two_hosts_each()};
};

TEST_F(WorldLocations, EverybodyBelievesAMoveBeforeTheGuestRunsOn) {
  move("cloud-b");
  EXPECT_EQ(unproven(), 0U);
}

TEST_F(WorldLocations, ThereAndBackAndThereAgainIsProvenEachTimeAlsoAfterRestarts) {
  for (const auto* to : {"cloud-b", "cloud-a", "cloud-b"}) {
    move(to);
    if (HasFatalFailure()) return;
    EXPECT_EQ(unproven(), 0U) << to;
    for (const auto& [host, process] : rig.processes()) {
      if (process == "sky") continue;
      rig.kill(host, process);
      rig.world.run_for(Millis{10});
      rig.start(host, process);
    }
    ASSERT_TRUE(rig.world.run_until([&] { return rig.settled() && all_agree(); }, Seconds{120})) << rig.describe();
  }
  EXPECT_EQ(rig.guests.problem(), "");
}

}  // namespace
}  // namespace godwit::simtest
