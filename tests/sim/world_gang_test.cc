// A cluster's members move together, in whole simulated worlds: one goes ahead, the rest follow, and whatever happens
// to one of them, or to sky, the others arrive.
#include "sim/host.h"
#include "sim/world_rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace godwit::simtest {
namespace {

using wire::MigrationPhase;

constexpr std::uint64_t kSeeds = 3;
constexpr std::size_t kMembers = 6;
constexpr std::size_t kAtOnce = 4;
constexpr Seconds kArrived{120};

// Guests with so much memory that a first round takes a second and a half: sky looks four times a second.
RigPlan plan(int hosts_per_cloud) {
  RigPlan plan;
  plan.hosts_per_cloud = hosts_per_cloud;
  plan.qemu.memory_bytes = 6UL << 20U;
  plan.qemu.copy_bytes_per_s = 4'000'000;
  return plan;
}

class Gang {
 public:
  explicit Gang(std::uint64_t seed) : rig(seed, plan(1)), seed_(seed) {}

  // Six members of cloud-a, on their way to cloud-b. Those of the world: see problem().
  [[nodiscard]] bool sets_out() {
    if (!rig.create_cluster(std::vector<std::string>(kMembers, "cloud-a"))) return false;
    const auto ordered = rig.migrate("cloud-b");
    if (!ordered || ordered->migrations.size() != kMembers) return false;
    for (const auto& each : ordered->migrations) ids_.push_back(each.id);
    return true;
  }

  // As sky says; what it said last while there is none. Notes what must never be.
  void look() {
    if (!rig.sky()) return;
    std::size_t under_way = 0;
    for (const auto& id : ids_) {
      const auto said = rig.sky()->migration(id);
      if (!said) continue;
      reports_[id] = *said;
      const bool open = !wire::is_final(said->phase) && said->phase != MigrationPhase::owned;
      under_way += open && !said->to_host.empty();
      sown_ = sown_ || said->progress.rounds > 1 ||
              (said->phase >= MigrationPhase::paused && said->phase != MigrationPhase::aborted);
    }
    most_ = std::max(most_, under_way);
    if (!sown_) most_before_seed_ = std::max(most_before_seed_, under_way);
  }
  template <class Condition>
  [[nodiscard]] bool run_until(Condition condition, Nanos limit) {
    const auto looks = [&] {
      look();
      return condition();
    };
    return rig.world.run_until(looks, limit);
  }
  [[nodiscard]] bool settles() {
    return run_until([this] { return rig.settled(); }, kArrived);
  }

  [[nodiscard]] const wire::MigrationReport& report(const std::string& id) { return reports_[id]; }
  // The one that is under way and has not crossed, while it is alone.
  [[nodiscard]] std::string seed() {
    for (const auto& id : ids_) {
      const auto& said = reports_[id];
      if (said.phase == MigrationPhase::memory && said.progress.rounds <= 1) return id;
    }
    return "";
  }
  [[nodiscard]] std::vector<std::string> those_that(MigrationPhase phase) {
    std::vector<std::string> out;
    for (const auto& id : ids_) {
      if (reports_[id].phase == phase) out.push_back(id);
    }
    return out;
  }
  [[nodiscard]] std::size_t members_at(const std::string& cloud) {
    const auto view = rig.view();
    return static_cast<std::size_t>(
        std::ranges::count_if(view.members, [&](const auto& member) { return member.cloud == cloud; }));
  }
  [[nodiscard]] std::string show() {
    std::string text = fmt::format("seed {}: {}\n", seed_, rig.describe());
    for (const auto& [id, report] : reports_) text += wire::encode(report) + "\n";
    return text;
  }
  // Empty: all is well.
  [[nodiscard]] std::string problem() {
    if (!rig.guests.problem().empty()) return rig.guests.problem();
    if (most_before_seed_ > 1) return fmt::format("{} went ahead at once", most_before_seed_);
    if (most_ > kAtOnce) return fmt::format("{} were under way at once", most_);
    return "";
  }
  [[nodiscard]] std::size_t most() const { return most_; }
  [[nodiscard]] const std::vector<std::string>& ids() const { return ids_; }

  WorldRig rig;

 private:
  std::uint64_t seed_;
  std::vector<std::string> ids_;
  std::map<std::string, wire::MigrationReport> reports_;
  bool sown_{false};  // the memory of one has crossed; sky that was restarted may have to hear it again
  std::size_t most_{0};
  std::size_t most_before_seed_{0};
};

TEST(WorldGang, OneGoesAheadThenFourAtATimeAndAllArrive) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Gang gang(seed);
    ASSERT_TRUE(gang.sets_out()) << gang.show();
    ASSERT_TRUE(gang.settles()) << gang.show();
    EXPECT_EQ(gang.problem(), "") << gang.show();
    EXPECT_EQ(gang.members_at("cloud-b"), kMembers) << gang.show();
    EXPECT_EQ(gang.those_that(MigrationPhase::completed).size(), kMembers);
    EXPECT_EQ(gang.most(), kAtOnce) << gang.show();
  }
}

TEST(WorldGang, WhereTheOneThatWentAheadFailsAnotherDoesAndTheRestArrive) {
  for (std::uint64_t seed = 100; seed < 100 + kSeeds; ++seed) {
    Gang gang(seed);
    ASSERT_TRUE(gang.sets_out()) << gang.show();
    ASSERT_TRUE(gang.run_until([&] { return !gang.seed().empty(); }, Seconds{30})) << gang.show();
    const auto first = gang.seed();
    auto* arriving = gang.rig.qemu("b1", gang.report(first).instance);
    ASSERT_NE(arriving, nullptr) << gang.show();
    arriving->kill();
    const auto second_is_ahead = [&] { return !gang.seed().empty() && gang.seed() != first; };
    EXPECT_TRUE(gang.run_until(second_is_ahead, Seconds{60})) << gang.show();
    ASSERT_TRUE(gang.settles()) << gang.show();
    EXPECT_EQ(gang.problem(), "") << gang.show();
    EXPECT_EQ(gang.those_that(MigrationPhase::aborted), std::vector{first}) << gang.show();
    EXPECT_EQ(gang.members_at("cloud-b"), kMembers - 1);
    EXPECT_EQ(gang.members_at("cloud-a"), 1U);
  }
}

TEST(WorldGang, ARestartOfSkyAtAnyMomentChangesNothing) {
  for (std::uint64_t seed = 200; seed < 200 + 2 * kSeeds; ++seed) {
    Gang gang(seed);
    ASSERT_TRUE(gang.sets_out()) << gang.show();
    // At times the seed is on its way, at times the rest.
    gang.rig.world.run_for(Millis{static_cast<std::int64_t>(gang.rig.world.draw_below(8'000))});
    gang.rig.kill("home", "sky");
    gang.rig.world.run_for(Millis{static_cast<std::int64_t>(gang.rig.world.draw_below(3'000))});
    gang.rig.start("home", "sky");
    ASSERT_TRUE(gang.settles()) << gang.show();
    EXPECT_EQ(gang.problem(), "") << gang.show();
    EXPECT_EQ(gang.members_at("cloud-b"), kMembers) << gang.show();
  }
}

// One that waits and the one that is ahead: what is cancelled stays, the rest arrive.
TEST(WorldGang, WhoIsCancelledStaysAndTheRestArrive) {
  for (std::uint64_t seed = 300; seed < 300 + kSeeds; ++seed) {
    Gang gang(seed);
    ASSERT_TRUE(gang.sets_out()) << gang.show();
    ASSERT_TRUE(gang.run_until([&] { return !gang.seed().empty(); }, Seconds{30})) << gang.show();
    const auto ahead = gang.seed();
    const auto waits = gang.ids().front() == ahead ? gang.ids().back() : gang.ids().front();
    ASSERT_TRUE(gang.report(waits).to_host.empty()) << gang.show();
    for (const auto& id : {ahead, waits}) {
      const auto told = gang.rig.call("POST", "/v1/migrations/" + id + "/cancel", "{}");
      ASSERT_TRUE(told) << told.error().message;
    }
    ASSERT_TRUE(gang.settles()) << gang.show();
    EXPECT_EQ(gang.problem(), "") << gang.show();
    EXPECT_EQ(gang.those_that(MigrationPhase::aborted).size(), 2U) << gang.show();
    EXPECT_EQ(gang.members_at("cloud-a"), 2U);
    EXPECT_EQ(gang.members_at("cloud-b"), kMembers - 2);
  }
}

// The destination's scheduler alone would deal them out to its two hosts.
TEST(WorldGang, ThoseOfOneHostArriveAtOneHost) {
  WorldRig rig(400, plan(2));
  ASSERT_TRUE(rig.create_cluster(std::vector<std::string>(kMembers, "cloud-a"))) << rig.describe();
  const auto before = rig.view();
  std::vector<std::string> together;
  for (const auto& member : before.members) {
    if (member.host == before.members.front().host) together.push_back(member.name);
  }
  ASSERT_GE(together.size(), 2U) << rig.describe();
  const auto ordered = rig.migrate("cloud-b", together);
  ASSERT_TRUE(ordered) << ordered.error().message;
  const auto all_arrived = [&] {
    const auto view = rig.view();
    const auto there = std::ranges::count_if(view.members, [](const auto& each) { return each.cloud == "cloud-b"; });
    return static_cast<std::size_t>(there) == together.size() && rig.settled();
  };
  ASSERT_TRUE(rig.world.run_until(all_arrived, kArrived)) << rig.describe();
  std::set<std::string> hosts;
  for (const auto& member : rig.view().members) {
    if (member.cloud == "cloud-b") hosts.insert(member.host);
  }
  EXPECT_EQ(hosts.size(), 1U) << rig.describe();
  EXPECT_EQ(rig.guests.problem(), "");
}

}  // namespace
}  // namespace godwit::simtest
