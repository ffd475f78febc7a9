// Whole migrations in simulated time: two agents, fake guests, a WAN, and whatever can go wrong in each phase.
#include "sim/host.h"
#include "sim/migration_rig.h"
#include "sim/network.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

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
  EXPECT_GT(report.cost.wan_bytes.memory, 0U);
  EXPECT_GT(report.cost.wan_bytes.disk, 0U);
}

// What must not go on beside a migration asks at each of its steps: to hear of it later is too late.
TEST(MigrationSim, IsUnderWayAtEitherHostFromTheMomentInWhichItBeginsThere) {
  Rig rig(1);
  rig.world.run_for(Seconds{1});
  auto& source = rig.agent("a1")->migrations();
  auto& destination = rig.agent("b1")->migrations();
  EXPECT_FALSE(source.under_way() || destination.under_way());
  rig.order_migration();
  source.order({rig.order, instance_spec(), 1});
  EXPECT_TRUE(source.under_way());
  ASSERT_TRUE(rig.world.run_until([&] { return !destination.reports().empty(); }, Seconds{10}));
  EXPECT_TRUE(destination.under_way());
  ASSERT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{60})) << rig.describe();
  EXPECT_FALSE(source.under_way() || destination.under_way());
}

// ---- a guest that dirties memory faster than it can be sent

constexpr MigrationPhase kPostCopy = MigrationPhase::post_copy;

wire::MigrationOptions with_post_copy() {
  wire::MigrationOptions options;
  options.post_copy = true;
  options.give_up_after_s = 20;
  return options;
}

TEST(PostCopySim, AGuestThatNeverConvergesMovesByPostCopy) {
  Rig rig(1);
  rig.oracle.restless = true;
  rig.world.run_for(Seconds{1});
  rig.order_migration(with_post_copy());
  const bool seen =
      rig.world.run_until([&] { return rig.phase("a1") == kPostCopy && rig.phase("b1") == kPostCopy; }, Seconds{60});
  EXPECT_TRUE(seen) << rig.describe();
  EXPECT_EQ(rig.oracle.running, 1);
  const bool settled = rig.world.run_until([&] { return rig.has_instance("b1") && rig.settled(); }, Seconds{60});
  ASSERT_TRUE(settled) << rig.describe();
  EXPECT_EQ(rig.oracle.problem, "");
  const auto& report = rig.told["a1"];
  EXPECT_EQ(report.cost.tried, (std::vector<std::string>{"a pause of 100 ms", "auto-converge", "post-copy"}));
  EXPECT_LT(report.cost.downtime_ms, 400);  // and not until the last page has come
  EXPECT_EQ(rig.told["b1"].error, "");
}

TEST(PostCopySim, WhereQemuRefusesItTheErrorSaysWhatWasTried) {
  Rig rig(1);
  rig.oracle.restless = true;
  rig.post_copy_problem = "Postcopy is not supported";
  rig.world.run_for(Seconds{1});
  rig.order_migration(with_post_copy());
  const bool settled =
      rig.world.run_until([&] { return rig.phase("a1") == MigrationPhase::aborted && rig.settled(); }, Seconds{120});
  ASSERT_TRUE(settled) << rig.describe();
  EXPECT_TRUE(rig.has_instance("a1"));
  const auto& error = rig.told["a1"].error;
  EXPECT_NE(error.find("did not converge"), std::string::npos) << error;
  EXPECT_NE(error.find("tried: a pause of 100 ms; auto-converge; post-copy: host b1 says: Postcopy is not supported"),
            std::string::npos)
      << error;
}

TEST(PostCopySim, WhereItWasNotAskedForItIsNotTried) {
  Rig rig(1);
  rig.oracle.restless = true;
  auto options = with_post_copy();
  options.post_copy = false;
  rig.world.run_for(Seconds{1});
  rig.order_migration(options);
  const bool settled =
      rig.world.run_until([&] { return rig.phase("a1") == MigrationPhase::aborted && rig.settled(); }, Seconds{120});
  ASSERT_TRUE(settled) << rig.describe();
  EXPECT_EQ(rig.told["a1"].cost.tried, (std::vector<std::string>{"a pause of 100 ms", "auto-converge"}));
}

// ---- faults

enum class Fault : std::uint8_t {
  source_agent,
  destination_agent,
  source_qemu,
  destination_qemu,
  wan,         // hosts and clouds alike
  hosts_only,  // the hosts lose each other; the destination reaches the source's cloud
  cloud_only,  // the destination loses the source's cloud
  source_power,
  destination_power,
  source_disk_full,
  destination_disk_full,
  cancel,
};
constexpr int kFaults = 12;

// One thing that goes wrong, and how it is mended after a while.
class Accident {
 public:
  Accident(Rig& rig, Fault fault) : rig_(rig), fault_(fault) {}

  void happen() {
    const auto span = [this] { return Millis{100 + static_cast<std::int64_t>(rig_.world.draw_below(15'000))}; };
    switch (fault_) {
      case Fault::source_agent: kill_agent("a1", span()); break;
      case Fault::destination_agent: kill_agent("b1", span()); break;
      case Fault::source_qemu: kill_qemu("a1"); break;
      case Fault::destination_qemu: kill_qemu("b1"); break;
      case Fault::wan: cut("site-a", "site-b", span()); break;
      case Fault::hosts_only: cut("a1", "b1", span()); break;
      case Fault::cloud_only: cut("b1", "cloud-a-api", span()); break;
      case Fault::source_power: lose_power("a1", span()); break;
      case Fault::destination_power: lose_power("b1", span()); break;
      case Fault::source_disk_full: fill_disk(rig_.a1, span()); break;
      case Fault::destination_disk_full: fill_disk(rig_.b1, span()); break;
      case Fault::cancel: rig_.order.cancel = true; break;
    }
  }

 private:
  void after(Nanos span, std::function<void()> what) { rig_.world.at(rig_.world.now() + span, std::move(what)); }
  void kill_agent(const std::string& host, Nanos span) {
    if (auto* agent = rig_.world.host(host).find("agent")) agent->kill();
    after(span, [&rig = rig_, host] { rig.start_agent(host); });
  }
  void kill_qemu(const std::string& host) {
    if (auto* qemu = rig_.qemu(host)) qemu->kill();
  }
  void cut(const std::string& a, const std::string& b, Nanos span) {
    rig_.world.network().cut(a, b);
    after(span, [&rig = rig_, a, b] { rig.world.network().heal(a, b); });
  }
  void lose_power(const std::string& host, Nanos span) {
    rig_.world.host(host).power_off();
    after(span, [&rig = rig_, host] { rig.start_agent(host); });
  }
  void fill_disk(sim::Host& host, Nanos span) {
    host.files().refuse_writes(true);
    after(span, [&host] { host.files().refuse_writes(false); });
  }

  Rig& rig_;
  Fault fault_;
};

constexpr std::array kPhases{MigrationPhase::connecting, MigrationPhase::preparing, MigrationPhase::disk,
                             MigrationPhase::memory,     MigrationPhase::paused,    MigrationPhase::draining,
                             MigrationPhase::prepared,   MigrationPhase::released,  MigrationPhase::owned};

bool has_reached(Rig& rig, MigrationPhase phase) { return rig.phase("a1") >= phase || rig.phase("b1") >= phase; }

std::string show(Rig& rig, std::uint64_t seed) {
  std::string text = fmt::format("seed {}: {}\n", seed, rig.describe());
  for (const auto& line : rig.world.trace()) text += line + "\n";
  return text;
}

// A migration in which, from `phase` on, `faults` happen; then everything is mended.
std::uint64_t live(std::uint64_t seed, MigrationPhase phase, const std::vector<Fault>& faults, bool keep_trace,
                   bool restless = false) {
  Rig rig(seed);
  rig.oracle.restless = restless;
  rig.world.keep_trace(keep_trace);
  rig.world.run_for(Millis{200});
  rig.order_migration(restless ? with_post_copy() : wire::MigrationOptions());
  rig.world.run_until([&] { return has_reached(rig, phase) || rig.oracle.problem != ""; }, Seconds{30});
  for (const auto fault : faults) {
    rig.world.run_for(Nanos{static_cast<std::int64_t>(rig.world.draw_below(120'000'000))});
    rig.world.trace(fmt::format("fault {}", static_cast<int>(fault)));
    Accident(rig, fault).happen();
    if (rig.world.draw_below(2) == 0) {
      rig.world.run_for(Millis{static_cast<std::int64_t>(rig.world.draw_below(8'000))});
    }
  }
  const bool settled = rig.world.run_until([&] { return rig.settled(); }, Seconds{240});
  EXPECT_EQ(rig.oracle.problem, "") << show(rig, seed);
  EXPECT_TRUE(settled) << show(rig, seed);
  return rig.world.trace_hash();
}

TEST(MigrationSim, EveryFaultInEveryPhaseLeavesOneCopyAndNoWriteLost) {
  std::uint64_t seed = 1;
  for (const auto phase : kPhases) {
    for (int fault = 0; fault < kFaults; ++fault) {
      for (int times = 0; times < 3; ++times, ++seed) {
        live(seed, phase, {static_cast<Fault>(fault)}, true);
        ASSERT_FALSE(HasFailure()) << "fault " << fault << " in " << boost::describe::enum_to_string(phase, "?");
      }
    }
  }
}

constexpr std::array kPostCopyPhases{MigrationPhase::paused,   MigrationPhase::draining,  MigrationPhase::prepared,
                                     MigrationPhase::released, MigrationPhase::post_copy, MigrationPhase::owned};

TEST(PostCopySim, EveryFaultInThePhasesOfAPostCopyLeavesOneCopyAndNoWriteLost) {
  std::uint64_t seed = 100'000;
  for (const auto phase : kPostCopyPhases) {
    for (int fault = 0; fault < kFaults; ++fault) {
      for (int times = 0; times < 2; ++times, ++seed) {
        live(seed, phase, {static_cast<Fault>(fault)}, true, true);
        ASSERT_FALSE(HasFailure()) << "fault " << fault << " in " << boost::describe::enum_to_string(phase, "?");
      }
    }
  }
}

TEST(PostCopySim, ManyFaultsAtOnceLeaveOneCopyAndNoWriteLost) {
  for (std::uint64_t seed = 200'000; seed < 200'100; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Fault> faults;
    for (auto left = 1 + random() % 3; left > 0; --left) faults.push_back(static_cast<Fault>(random() % kFaults));
    live(seed, kPostCopyPhases[random() % kPostCopyPhases.size()], faults, true, true);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

TEST(MigrationSim, ManyFaultsAtOnceLeaveOneCopyAndNoWriteLost) {
  constexpr std::uint64_t kSeeds = 1'000;
  for (std::uint64_t seed = 10'000; seed < 10'000 + kSeeds; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Fault> faults;
    for (auto left = 1 + random() % 3; left > 0; --left) faults.push_back(static_cast<Fault>(random() % kFaults));
    live(seed, kPhases[random() % kPhases.size()], faults, true);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

TEST(MigrationSim, EqualSeedsGiveEqualTraces) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::vector faults{static_cast<Fault>(seed % kFaults), Fault::wan};
    EXPECT_EQ(live(seed, MigrationPhase::paused, faults, true), live(seed, MigrationPhase::paused, faults, false));
    EXPECT_NE(live(seed, MigrationPhase::paused, faults, false), live(seed + 1, MigrationPhase::paused, faults, false));
  }
}

}  // namespace
}  // namespace godwit::simtest
