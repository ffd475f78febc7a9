// Whole migrations in simulated time: two agents, fake guests, a WAN, and whatever can go wrong in each phase.
#include "sim/host.h"
#include "sim/migration_rig.h"
#include "sim/network.h"

#include <gtest/gtest.h>

namespace godwit::simtest {
namespace {

using wire::MigrationPhase;

TEST(MigrationSim, AnInstanceMovesAndNothingIsLeftBehind) {
  Rig rig(1);
  rig.world.keep_trace(true);
  rig.world.run_for(Seconds{1});
  ASSERT_EQ(rig.oracle.running, 1);
  rig.order_migration();
  const bool settled = rig.world.run_until([&] { return rig.has_instance("b1") && rig.settled(); }, Seconds{60});
  if (!settled || HasFailure()) {
    for (const auto& line : rig.world.trace()) std::printf("%s\n", line.c_str());
  }
  ASSERT_TRUE(settled) << rig.describe();
  EXPECT_EQ(rig.oracle.problem, "");
  EXPECT_EQ(rig.vote, wire::Decision::released);
  const auto& report = rig.told["a1"];
  EXPECT_EQ(report.phase, MigrationPhase::completed);
  EXPECT_GT(report.cost.downtime_ms, 50);
  EXPECT_LT(report.cost.downtime_ms, 400);
  EXPECT_GT(report.cost.wan_bytes.memory, 1024U * 1024);
  EXPECT_GT(report.cost.wan_bytes.disk, 512U * 1024);
}

}  // namespace
}  // namespace godwit::simtest
