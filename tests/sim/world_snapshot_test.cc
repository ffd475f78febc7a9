// Snapshots of instances in whole simulated worlds: an image of a disk that is written to, whatever fails on the way;
// its clone, and its way home and to another cloud.
#include "sim/clock.h"
#include "sim/host.h"
#include "sim/qemu_backup.h"
#include "sim/within.h"
#include "sim/world_rig.h"
#include "wire/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

namespace godwit::simtest {
namespace {

const std::string kBase = "web";
const std::string kSnapshot = "web-2";
const std::string kPath = "/home/web.raw";
constexpr std::size_t kBase_bytes = 1UL << 20U;
constexpr std::uint64_t kCluster_bytes = 64UL << 10U;
constexpr Seconds kSoon{60};
constexpr Millis kLook{100};

// `copying`: what it takes to copy what the guest has written.
RigPlan two_hosts_each(Seconds copying) {
  RigPlan plan;
  plan.hosts_per_cloud = 2;
  plan.qemu.copy_bytes_per_s = 4'000'000;
  plan.qemu.overlay_bytes = plan.qemu.copy_bytes_per_s * static_cast<std::uint64_t>(copying.count());
  return plan;
}

class SnapshotWorld {
 public:
  explicit SnapshotWorld(std::uint64_t seed, Seconds copying = {})
      : rig(seed, two_hosts_each(copying)), base_(kBase_bytes) {
    sim::SimRandom random(seed);
    random.fill(base_);
    auto& home = rig.world.host("home");
    EXPECT_TRUE(home.files().make_directories("/home", 0700, 0) && home.files().write_atomic(kPath, "", 0600));
    EXPECT_TRUE(home.page_files().make_directory("/home", 0700));
    auto file = home.page_files().create(kPath);
    EXPECT_TRUE(file && (*file)->write_at(0, base_));
  }

  // An instance of the base at cloud-a, which writes.
  [[nodiscard]] bool begin() {
    if (!rig.call("POST", "/v1/images", wire::encode(wire::AddImage{kBase, kPath}))) return false;
    if (!within([&] { return !image(kBase).id.empty(); })) return false;
    if (!rig.call("POST", "/v1/images/" + kBase + "/push", "{}")) return false;
    if (!within([&] { return is_at("a1", kBase) && is_at("a2", kBase); })) return false;
    return rig.create_cluster({"cloud-a"}, kBase);
  }
  [[nodiscard]] Result<wire::SnapshotView> ask(const std::string& name = kSnapshot) {
    return rig.ask<wire::SnapshotView>("POST", "/v1/instances/" + instance() + "/snapshot",
                                       wire::encode(wire::SnapshotRequest{"", name}));
  }
  [[nodiscard]] const std::string& instance() const { return rig.instances().front(); }
  [[nodiscard]] std::optional<wire::SnapshotView> seen(const std::string& id) {
    auto* cloud = rig.cloud("cloud-a");
    if (!cloud) return std::nullopt;
    const auto list = cloud->snapshots().list({"alice", {}, false});
    if (!list) return std::nullopt;
    const auto found = std::ranges::find(list->snapshots, id, &wire::SnapshotView::id);
    return found == list->snapshots.end() ? std::nullopt : std::optional(*found);
  }
  [[nodiscard]] bool is_over(const std::string& id) {
    const auto now = seen(id);
    return now && now->ended_ms != 0;
  }
  [[nodiscard]] bool within(const std::function<bool()>& holds, Nanos limit = kSoon) {
    return simtest::within(rig.world, limit, kLook, holds);
  }
  [[nodiscard]] wire::SkyImage image(const std::string& name) {
    const auto got = rig.sky() ? rig.sky()->images().view(name) : fail(Errc::unavailable, "it is down");
    return got ? *got : wire::SkyImage{};
  }
  [[nodiscard]] bool is_at(const std::string& host, const std::string& name) {
    for (const auto* at : {"cloud-a", "cloud-b"}) {
      auto* cloud = rig.cloud(at);
      const auto hosts = cloud ? cloud->hosts().list() : fail(Errc::unavailable, "it is down");
      if (!hosts) continue;
      for (const auto& each : hosts->hosts) {
        const auto named = [&](const wire::ImageReport& report) { return report.name == name; };
        if (each.name == host && std::ranges::any_of(each.images, named)) return true;
      }
    }
    return false;
  }
  // How many of its guest's records an image's disk has. Checks that the rest is the base's.
  [[nodiscard]] std::uint64_t records_in(const std::string& host, const std::string& directory, const std::string& id) {
    const auto disk = rig.world.host(host).page_files().open(fmt::format("{}/{}/disk", directory, id));
    EXPECT_TRUE(disk) << host << " lacks " << id;
    if (!disk) return 0;
    ByteVector cluster(kCluster_bytes);
    std::set<std::uint64_t> counts;
    for (const auto number : sim::kBackupClusters) {
      EXPECT_TRUE((*disk)->read_at(number * kCluster_bytes, cluster));
      const auto text = as_text(cluster);
      counts.insert(text.find_first_not_of('1'));
    }
    EXPECT_EQ(counts.size(), 1U) << "both are of one moment";
    EXPECT_TRUE((*disk)->read_at(0, cluster));
    EXPECT_TRUE(std::ranges::equal(cluster, ByteView(base_).first(kCluster_bytes)));
    EXPECT_TRUE((*disk)->read_at(5 * kCluster_bytes, cluster));
    EXPECT_TRUE(std::ranges::equal(cluster, ByteView(base_).subspan(5 * kCluster_bytes, kCluster_bytes)));
    return *counts.begin();
  }
  [[nodiscard]] bool has_scratch() {
    return std::ranges::any_of(rig.agent_hosts(), [&](const std::string& host) {
      const auto names = rig.world.host(host).files().list(std::string(kAgentState) + "/snapshots");
      return !names || !names->empty();
    });
  }
  [[nodiscard]] std::uint64_t written() const { return rig.guests.acknowledged(instance()); }

  WorldRig rig;

 private:
  ByteVector base_;
};

TEST(WorldSnapshots, AnImageIsTheDiskAsItWasAtOneMomentAndAnInstanceBeginsWithIt) {
  SnapshotWorld world(1);
  ASSERT_TRUE(world.begin()) << world.rig.describe();
  world.rig.world.run_for(Seconds{3});
  const auto before = world.written();
  const auto asked = world.ask();
  ASSERT_TRUE(asked) << asked.error().message;
  ASSERT_TRUE(world.within([&] { return world.is_over(asked->id); }));
  const auto after = world.written();
  const auto seen = world.seen(asked->id);
  ASSERT_EQ(seen->phase, wire::SnapshotPhase::done) << seen->problem;
  const auto records = world.records_in("cloud-a", "/cloud/images", seen->image);
  EXPECT_GE(records, before);
  EXPECT_LE(records, after);
  EXPECT_GT(before, 0U);
  EXPECT_EQ(world.rig.guests.problem(), "");
  EXPECT_TRUE(world.within([&] { return !world.has_scratch(); }));

  wire::ClusterSpec spec;
  spec.name = "more";
  spec.image = kSnapshot;
  spec.type = "t3.pico";
  spec.clouds = {"cloud-a"};
  spec.members.push_back({"c1", "cloud-a", "", {}});
  ASSERT_TRUE(world.rig.call("POST", "/v1/clusters", wire::encode(spec)));
  EXPECT_TRUE(world.within([&] {
    const auto cluster = world.rig.sky()->cluster("more");
    return cluster && cluster->state == wire::ClusterState::ready;
  }));
}

TEST(WorldSnapshots, AnImageComesHomeAndGoesToAnotherCloud) {
  SnapshotWorld world(2);
  ASSERT_TRUE(world.begin()) << world.rig.describe();
  const auto asked = world.ask();
  ASSERT_TRUE(asked && world.within([&] { return world.is_over(asked->id); }));
  const auto id = world.seen(asked->id)->image;
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/" + kSnapshot + "/pull", "{}"));
  ASSERT_TRUE(world.within([&] { return world.image(kSnapshot).id == id; })) << wire::encode(world.image(kSnapshot));
  EXPECT_EQ(world.records_in("home", "/sky/images", id), world.records_in("cloud-a", "/cloud/images", id));
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/" + kSnapshot + "/push", "{}"));
  EXPECT_TRUE(world.within([&] { return world.is_at("b1", kSnapshot) && world.is_at("b2", kSnapshot); }));
  // What sky and that cloud have of the base did not travel: of the two clusters that differ and the list, not much.
  for (const auto& push : world.image(kSnapshot).pushes) EXPECT_LT(push.sent_bytes, 700'000U) << push.cloud;
  ASSERT_TRUE(world.rig.call("DELETE", "/v1/images/" + kSnapshot));
  EXPECT_TRUE(world.within([&] { return !world.is_at("a1", kSnapshot) && !world.is_at("b1", kSnapshot); }));
}

TEST(WorldSnapshots, OneThatIsPushedComesHomeFirstAndIsWrittenToAFileAsItIs) {
  SnapshotWorld world(5);
  ASSERT_TRUE(world.begin()) << world.rig.describe();
  const auto asked = world.ask();
  ASSERT_TRUE(asked && world.within([&] { return world.is_over(asked->id); }));
  const auto id = world.seen(asked->id)->image;
  const wire::PushImage to{{"cloud-b"}};
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/" + kSnapshot + "/push", wire::encode(to)));
  ASSERT_TRUE(world.within([&] { return world.is_at("b1", kSnapshot); })) << wire::encode(world.image(kSnapshot));
  const auto path = "/v1/images/" + kSnapshot + "/export";
  const auto write_to = [&](const std::string& file) {
    return world.rig.call("POST", path, wire::encode(wire::ExportImage{file, "raw"}));
  };
  EXPECT_FALSE(write_to("web-2.raw")) << "no absolute path";
  EXPECT_FALSE(write_to(kPath)) << "there is a file";
  ASSERT_TRUE(write_to("/home/web-2.raw"));
  const auto over = [&] { return world.image(kSnapshot).exports.at(0).state != wire::ExportState::writing; };
  ASSERT_TRUE(world.within(over));
  EXPECT_EQ(world.image(kSnapshot).exports.at(0).state, wire::ExportState::done);
  const auto file = world.rig.world.host("home").page_files().open("/home/web-2.raw");
  const auto disk = world.rig.world.host("home").page_files().open(fmt::format("/sky/images/{}/disk", id));
  ASSERT_TRUE(file && disk && (*file)->size() == (*disk)->size());
  ByteVector some(20UL << 20U);
  ByteVector same(some.size());
  EXPECT_TRUE((*file)->read_at(0, some) && (*disk)->read_at(0, same));
  EXPECT_TRUE(some == same);
}

TEST(WorldSnapshots, OneThatSkyDoesNotKeepIsRemovedAtItsCloud) {
  SnapshotWorld world(3);
  ASSERT_TRUE(world.begin()) << world.rig.describe();
  const auto asked = world.ask();
  ASSERT_TRUE(asked && world.within([&] { return world.is_over(asked->id); }));
  ASSERT_TRUE(world.within([&] { return world.is_at("a2", kSnapshot); }));
  const auto again = world.ask();
  ASSERT_FALSE(again) << "the name is taken";
  EXPECT_EQ(again.error().code, Errc::conflict);
  ASSERT_TRUE(world.rig.call("DELETE", "/v1/images/" + kSnapshot));
  EXPECT_TRUE(world.within([&] { return !world.is_at("a1", kSnapshot) && !world.is_at("a2", kSnapshot); }));
  EXPECT_FALSE(world.rig.call("DELETE", "/v1/images/" + kSnapshot));
}

TEST(WorldSnapshots, OneThatSkyDoesNotKeepIsTaggedAtItsCloud) {
  SnapshotWorld world(6);
  ASSERT_TRUE(world.begin()) << world.rig.describe();
  const auto asked = world.ask();
  ASSERT_TRUE(asked && world.within([&] { return world.is_over(asked->id); }));
  const auto later = world.ask("web-3");
  ASSERT_TRUE(later && world.within([&] { return world.is_over(later->id); }));
  const auto tag = [&](const std::string& image, bool move) {
    const wire::TagImage request{"web:stable", move};
    return world.rig.ask<wire::TaggedImage>("POST", "/v1/images/" + image + "/tag", wire::encode(request));
  };
  const auto tagged = tag(kSnapshot, false);
  ASSERT_TRUE(tagged) << tagged.error().message;
  EXPECT_EQ(tagged->clouds, std::vector<std::string>{"cloud-a"});
  ASSERT_TRUE(world.within([&] { return world.is_at("a2", "web:stable"); }));
  const auto refused = tag("web-3", false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict) << refused.error().message;
  ASSERT_TRUE(tag("web-3", true));
  const auto gone = world.rig.ask<wire::UntaggedImage>("DELETE", "/v1/images/web-3");
  ASSERT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(gone->names, std::vector<std::string>{"web:stable"});
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/web:stable/pull", "{}"));
  EXPECT_TRUE(world.within([&] { return world.image("web:stable").id == world.seen(later->id)->image; }));
}

TEST(WorldSnapshots, AStoppedInstancesDiskIsTakenAsItLiesAndItStartsThen) {
  SnapshotWorld world(7);
  ASSERT_TRUE(world.begin()) << world.rig.describe();
  world.rig.world.run_for(Seconds{3});
  const cloud::User alice{"alice", {}, false};
  const auto state = [&] { return world.rig.cloud("cloud-a")->instances().get(alice, world.instance())->state; };
  ASSERT_TRUE(world.rig.cloud("cloud-a")->instances().stop(alice, world.instance()));
  const auto early = world.ask();
  EXPECT_FALSE(early) << "it is stopping";
  ASSERT_TRUE(world.within([&] { return state() == wire::InstanceState::stopped; }));
  const auto written = world.written();
  const auto asked = world.ask();
  ASSERT_TRUE(asked) << asked.error().message;
  ASSERT_TRUE(world.rig.cloud("cloud-a")->instances().start(alice, world.instance()));
  ASSERT_TRUE(world.within([&] { return world.is_over(asked->id); }));
  const auto seen = world.seen(asked->id);
  ASSERT_EQ(seen->phase, wire::SnapshotPhase::done) << seen->problem;
  EXPECT_GE(world.records_in("cloud-a", "/cloud/images", seen->image), written);
  EXPECT_TRUE(world.within([&] { return state() == wire::InstanceState::running && world.written() > written; }));
  EXPECT_TRUE(world.within([&] { return !world.has_scratch(); }));
  EXPECT_EQ(world.rig.guests.problem(), "");
}

// While it is stopped, and the agent is killed again and again.
TEST(WorldSnapshots, AStoppedInstancesSnapshotOutlivesItsAgent) {
  SnapshotWorld world(8);
  ASSERT_TRUE(world.begin()) << world.rig.describe();
  world.rig.world.run_for(Seconds{3});
  const cloud::User alice{"alice", {}, false};
  auto& instances = world.rig.cloud("cloud-a")->instances();
  ASSERT_TRUE(instances.stop(alice, world.instance()));
  ASSERT_TRUE(
      world.within([&] { return instances.get(alice, world.instance())->state == wire::InstanceState::stopped; }));
  const auto written = world.written();
  const auto host = world.rig.view().members[0].host;
  for (int i = 0; i < 3; ++i) {
    const auto asked = world.ask(fmt::format("web-{}", i));
    ASSERT_TRUE(asked) << asked.error().message;
    world.rig.world.run_for(Millis{static_cast<std::int64_t>(world.rig.world.draw_below(300))});
    world.rig.kill(host, "agent");
    world.rig.start(host, "agent");
    ASSERT_TRUE(world.within([&] { return world.is_over(asked->id); }));
    const auto seen = world.seen(asked->id);
    ASSERT_EQ(seen->phase, wire::SnapshotPhase::done) << seen->problem;
    EXPECT_EQ(world.records_in("cloud-a", "/cloud/images", seen->image), written);
  }
  EXPECT_FALSE(world.rig.qemu(host, world.instance())) << "it is still stopped";
}

TEST(WorldSnapshots, AnInstanceStaysWhileItsDiskIsCopiedAndMovesThen) {
  SnapshotWorld world(4, Seconds{5});
  ASSERT_TRUE(world.begin()) << world.rig.describe();
  const auto asked = world.ask();
  ASSERT_TRUE(asked);
  const auto phase = [&] { return world.seen(asked->id)->phase; };
  ASSERT_TRUE(world.within([&] { return phase() == wire::SnapshotPhase::copying; }));
  const auto refused = world.rig.migrate("cloud-b");
  ASSERT_TRUE(refused && !refused->migrations.empty());
  const auto report = [&] { return world.rig.sky()->migration(refused->migrations.front().id); };
  ASSERT_TRUE(world.within([&] { return report() && wire::is_final(report()->phase); }, Seconds{4}));
  EXPECT_TRUE(report()->error.contains("being copied")) << wire::encode(*report());
  ASSERT_TRUE(world.within([&] { return world.is_over(asked->id); }));
  EXPECT_EQ(phase(), wire::SnapshotPhase::done) << world.seen(asked->id)->problem;
  ASSERT_TRUE(world.rig.migrate("cloud-b"));
  EXPECT_TRUE(world.within([&] { return world.rig.settled() && world.rig.view().members[0].cloud == "cloud-b"; }))
      << world.rig.describe();
  EXPECT_EQ(world.rig.guests.problem(), "");
}

// Processes die, hosts lose their power, and come back: then there is the image, of one moment and whole, or a reason;
// and nothing is left over.
TEST(WorldSnapshots, WhateverDiesOnTheWayThereIsAWholeImageOrNone) {
  const auto* wanted = std::getenv("GODWIT_SEEDS");
  const std::uint64_t seeds = wanted ? std::strtoull(wanted, nullptr, 10) : 16;
  std::uint64_t done = 0;
  for (std::uint64_t seed = 200; seed < 200 + seeds; ++seed) {
    SnapshotWorld world(seed, Seconds{1});
    ASSERT_TRUE(world.begin()) << "seed " << seed;
    auto& rig = world.rig;
    const auto before = world.written();
    const auto asked = world.ask();
    ASSERT_TRUE(asked) << "seed " << seed << ": " << asked.error().message;
    for (int accident = 0; accident < 3; ++accident) {
      rig.world.run_for(Millis{static_cast<std::int64_t>(rig.world.draw_below(900))});
      const auto& [host, process] = rig.processes()[rig.world.draw_below(rig.processes().size())];
      if (rig.world.draw_below(4) == 0) {
        rig.power_off(host, Millis{static_cast<std::int64_t>(500 + rig.world.draw_below(5'000))});
        continue;
      }
      rig.kill(host, process);
      rig.world.at(rig.world.now() + Millis{static_cast<std::int64_t>(rig.world.draw_below(3'000))},
                   [&rig, host, process] { rig.start(host, process); });
    }
    ASSERT_TRUE(world.within([&] { return world.is_over(asked->id); }, Seconds{300})) << "seed " << seed;
    const auto seen = world.seen(asked->id);
    if (seen->phase == wire::SnapshotPhase::done) {
      ++done;
      EXPECT_GE(world.records_in("cloud-a", "/cloud/images", seen->image), before) << "seed " << seed;
      EXPECT_TRUE(world.within([&] { return world.is_at("a1", kSnapshot) && world.is_at("a2", kSnapshot); }))
          << "seed " << seed;
    } else {
      EXPECT_FALSE(seen->problem.empty()) << "seed " << seed;
    }
    EXPECT_TRUE(world.within([&] { return rig.settled() && !world.has_scratch(); }))
        << "seed " << seed << rig.describe();
    EXPECT_EQ(rig.guests.problem(), "") << "seed " << seed;
  }
  EXPECT_GT(done * 2, seeds) << "most come through";
}

}  // namespace
}  // namespace godwit::simtest
