// Migrations in whole simulated worlds, and whatever can go wrong in each of their phases. Guests sees every vCPU that
// starts: two copies that run at once, or a guest on a disk that lacks what it was promised, are blamed at that moment.
#include "sim/host.h"
#include "sim/world_accidents.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

namespace godwit::simtest {
namespace {

using wire::MigrationPhase;

constexpr std::array kPhases{MigrationPhase::ordered,  MigrationPhase::connecting, MigrationPhase::preparing,
                             MigrationPhase::disk,     MigrationPhase::memory,     MigrationPhase::paused,
                             MigrationPhase::draining, MigrationPhase::prepared,   MigrationPhase::released,
                             MigrationPhase::owned,    MigrationPhase::completed};
constexpr Seconds kSettled{300};  // after the last fault was mended: what waits longest is a ticket

std::string show(WorldRig& rig, std::uint64_t seed) {
  std::string text = fmt::format("seed {}: {}\n", seed, rig.describe());
  for (const auto& line : rig.world.trace()) text += line + "\n";
  return text;
}

struct Lived {
  std::uint64_t trace_hash{0};
  std::string problem;  // empty: all is well
  std::string details;  // with the trace, where there is a problem and it was kept
};

// A migration in which, from `phase` on, `faults` happen; then everything is mended.
Lived live(std::uint64_t seed, MigrationPhase phase, const std::vector<Fault>& faults, bool keep_trace) {
  WorldRig rig(seed);
  rig.world.keep_trace(keep_trace);
  Lived lived;
  const auto ends = [&](std::string problem) {
    lived.trace_hash = rig.world.trace_hash();
    if (!problem.empty()) lived.details = show(rig, seed);
    lived.problem = std::move(problem);
    return lived;
  };
  if (!rig.create_cluster({"cloud-a"})) return ends("there was no cluster to begin with");
  const auto ordered = rig.migrate("cloud-b");
  if (!ordered || ordered->migrations.size() != 1) return ends("there was no migration to begin with");
  const auto migration = ordered->migrations[0].id;
  rig.world.run_until([&] { return rig.phase(migration) >= phase || !rig.guests.problem().empty(); }, Seconds{30});
  Accident accident(rig, rig.instances()[0], migration);
  for (const auto fault : faults) {
    rig.world.run_for(Nanos{static_cast<std::int64_t>(rig.world.draw_below(120'000'000))});
    rig.world.trace(fmt::format("fault {}", static_cast<int>(fault)));
    accident.happen(fault);
    if (rig.world.draw_below(2) == 0) {
      rig.world.run_for(Millis{static_cast<std::int64_t>(rig.world.draw_below(8'000))});
    }
  }
  const bool settled = rig.world.run_until([&] { return rig.settled(); }, kSettled);
  if (!rig.guests.problem().empty()) return ends(rig.guests.problem());
  return ends(settled ? "" : "it was not settled in the end");
}

// Lives that went wrong; the first is told in full.
class Report final {
 public:
  void add(const std::string& name, const Lived& lived) {
    if (lived.problem.empty()) return;
    if (list_.empty()) first_ = lived.details;
    list_ += name + ": " + lived.problem + "\n";
  }
  [[nodiscard]] bool good() const { return list_.empty(); }
  [[nodiscard]] std::string text() const { return list_ + first_; }

 private:
  std::string list_;
  std::string first_;
};

TEST(WorldFaults, EveryFaultInEveryPhaseLeavesOneCopyAndNoWriteLost) {
  Report report;
  std::uint64_t seed = 1;
  for (const auto phase : kPhases) {
    for (int fault = 0; fault < kFaults; ++fault, ++seed) {
      const auto name =
          fmt::format("seed {}, fault {} in {}", seed, fault, boost::describe::enum_to_string(phase, "?"));
      report.add(name, live(seed, phase, {static_cast<Fault>(fault)}, true));
    }
  }
  EXPECT_TRUE(report.good()) << report.text();
}

TEST(WorldFaults, ManyFaultsAtOnceLeaveOneCopyAndNoWriteLost) {
  // For a night, GODWIT_SEEDS=5000.
  const char* wanted = std::getenv("GODWIT_SEEDS");
  const std::uint64_t seeds = wanted ? std::strtoull(wanted, nullptr, 10) : 120;
  Report report;
  for (std::uint64_t seed = 10'000; seed < 10'000 + seeds; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Fault> faults;
    for (auto left = 1 + random() % 3; left > 0; --left) faults.push_back(static_cast<Fault>(random() % kFaults));
    report.add(fmt::format("seed {}", seed), live(seed, kPhases[random() % kPhases.size()], faults, true));
  }
  EXPECT_TRUE(report.good()) << report.text();
}

TEST(WorldFaults, EqualSeedsGiveEqualTraces) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const std::vector faults{static_cast<Fault>(seed % kFaults), Fault::wan};
    const auto first = live(seed, MigrationPhase::paused, faults, true);
    EXPECT_EQ(first.trace_hash, live(seed, MigrationPhase::paused, faults, false).trace_hash);
    EXPECT_NE(first.trace_hash, live(seed + 1, MigrationPhase::paused, faults, false).trace_hash);
  }
}

}  // namespace
}  // namespace godwit::simtest
