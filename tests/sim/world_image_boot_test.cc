// Instances that begin while their image is on its way, in whole simulated worlds, whatever fails meanwhile.
#include "sim/clock.h"
#include "sim/host.h"
#include "sim/within.h"
#include "sim/world_rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace godwit::simtest {
namespace {

const std::string kName = "web";
const std::string kPath = "/home/web.raw";
constexpr std::size_t kImage_bytes = 3UL << 20U;
constexpr std::size_t kHole_bytes = 1UL << 20U;       // of zeros, in its middle
constexpr std::uint64_t kSlow_bytes_per_s = 128'000;  // of the host's link: 17 s for the image
constexpr Seconds kThere{120};
// Of the guest before it is ready, as first piece and count: each time 7 further, without those of the hole.
const std::vector<std::uint32_t> kFirstReads{0, 1, 7, 1, 14, 1, 35, 1, 42, 1, 1, 1};
constexpr Millis kLook{250};

// One host a cloud, behind a slow link; its guest compares what it reads of its disk with what the user gave.
class BootWorld {
 public:
  explicit BootWorld(std::uint64_t seed) : bytes_(kImage_bytes), rig(seed, plan()) {
    sim::SimRandom random(seed);
    random.fill(ByteSpan(bytes_).first(kHole_bytes));
    random.fill(ByteSpan(bytes_).last(kHole_bytes));
    auto& home = rig.world.host("home");
    EXPECT_TRUE(home.files().make_directories("/home", 0700, 0) && home.files().write_atomic(kPath, "", 0600));
    EXPECT_TRUE(home.page_files().make_directory("/home", 0700));
    auto file = home.page_files().create(kPath);
    EXPECT_TRUE(file && (*file)->write_at(0, bytes_));
    rig.world.network().set_nic("a1", kSlow_bytes_per_s, kSlow_bytes_per_s);
  }

  // The cloud has the image, and an instance of it is asked for at once.
  [[nodiscard]] bool begin() {
    if (!rig.call("POST", "/v1/images", wire::encode(wire::AddImage{kName, kPath}))) return false;
    const auto view = [&] { return rig.sky() ? rig.sky()->images().view(kName) : fail(Errc::unavailable, "down"); };
    if (!within([&] { return view() && !view()->id.empty(); }, kThere)) return false;
    id_ = view()->id;
    if (!rig.call("POST", "/v1/images/" + kName + "/push", R"({"clouds":["cloud-a"]})")) return false;
    const auto named = [&] {
      const auto all = rig.cloud("cloud-a")->images().list();
      return all && std::ranges::any_of(*all, [](const auto& image) { return image.name == kName; });
    };
    return within(named, kThere) && rig.begin_cluster({"cloud-a"}, kName);
  }
  [[nodiscard]] bool within(const std::function<bool()>& holds, Nanos limit) {
    return simtest::within(rig.world, limit, kLook, holds);
  }

  [[nodiscard]] bool ready() { return rig.sky() && rig.view().state == wire::ClusterState::ready; }
  [[nodiscard]] bool whole() {
    const auto file = rig.world.host("a1").page_files().open(fmt::format("{}/images/{}/disk", kAgentState, id_));
    ByteVector found(bytes_.size());
    return file && (*file)->size() == bytes_.size() && (*file)->read_at(0, found) && found == bytes_;
  }
  // As the cloud has it.
  [[nodiscard]] std::vector<std::uint32_t> boot_order() {
    const auto row = rig.cloud("cloud-a")->core().database().read(
        [&](cloud::Sql& sql) -> Result<std::optional<cloud::BootOrderRow>> {
          return cloud::select_one<cloud::BootOrderRow>(sql, "sha256 = $1", id_);
        });
    return row && *row ? (*row)->ranges : std::vector<std::uint32_t>();
  }
  [[nodiscard]] sim::Process* server() { return rig.world.host("a1").find("godwit"); }
  [[nodiscard]] bool runs() { return rig.guests.running(rig.instances()[0]) == 1; }
  // It reads the image's own file, and nothing is left of what served it before.
  [[nodiscard]] bool is_on_its_file() {
    const auto names = rig.world.host("a1").files().list(std::string(kAgentState) + "/instances");
    return whole() && !server() && names &&
           std::ranges::none_of(*names, [](const std::string& name) { return name.contains("disk-server"); });
  }
  [[nodiscard]] std::string show() {
    std::string text =
        fmt::format("{} reads, whole {}, server {}: {}\n", reads, whole(), server() != nullptr, rig.describe());
    for (const auto& line : rig.world.trace()) text += line + "\n";
    return text;
  }

 private:
  [[nodiscard]] RigPlan plan() {
    RigPlan out;
    out.image_fill_kib_s = 64;
    out.qemu.base_reads = 8;
    out.qemu.base_read = [this](const std::string&, std::uint64_t offset, ByteView read) {
      ++reads;
      const bool right = !read.empty() && std::ranges::equal(read, ByteView(bytes_).subspan(offset, read.size()));
      EXPECT_TRUE(right) << "at " << offset << (read.empty() ? ": an I/O error" : "");
    };
    return out;
  }

  ByteVector bytes_;
  std::string id_;

 public:
  std::uint64_t reads{0};
  WorldRig rig;
};

TEST(WorldImageBoot, AnInstanceIsReadyWhileItsImageComesAndNeedsNobodyAfterwards) {
  BootWorld world(1);
  world.rig.world.keep_trace(true);
  ASSERT_TRUE(world.begin()) << world.show();
  ASSERT_TRUE(world.within([&] { return world.ready(); }, kThere)) << world.show();
  EXPECT_FALSE(world.whole());
  EXPECT_TRUE(world.server());
  ASSERT_TRUE(world.within([&] { return !world.boot_order().empty(); }, Seconds{5})) << world.show();
  EXPECT_EQ(world.boot_order(), kFirstReads);
  ASSERT_TRUE(world.within([&] { return world.is_on_its_file(); }, kThere)) << world.show();
  EXPECT_TRUE(world.runs()) << "it was never stopped";
  world.rig.kill("cloud-a", "cloud");
  world.rig.kill("a1", "agent");
  const auto before = world.reads;
  world.rig.world.run_for(Seconds{20});
  EXPECT_GT(world.reads, before + 50) << world.show();
}

TEST(WorldImageBoot, WhatIsMissingIsWaitedForAndComesWhenTheCloudIsBack) {
  BootWorld world(2);
  ASSERT_TRUE(world.begin()) << world.show();
  ASSERT_TRUE(world.within([&] { return world.reads >= 1; }, kThere)) << world.show();
  world.rig.world.network().cut("a1", "cloud-a");
  world.rig.world.run_for(Seconds{5});  // what it has of the image it reads
  const auto before = world.reads;
  world.rig.world.run_for(Seconds{60});
  EXPECT_EQ(world.reads, before);
  EXPECT_TRUE(world.runs());
  world.rig.world.network().heal("a1", "cloud-a");
  ASSERT_TRUE(world.within([&] { return world.ready() && world.is_on_its_file(); }, kThere)) << world.show();
}

TEST(WorldImageBoot, AnInstanceThatIsEndedMeanwhileLeavesNothingBehind) {
  BootWorld world(3);
  ASSERT_TRUE(world.begin()) << world.show();
  ASSERT_TRUE(world.within([&] { return world.reads >= 1; }, kThere)) << world.show();
  ASSERT_TRUE(world.rig.call("DELETE", "/v1/clusters/" + kCluster));
  ASSERT_TRUE(world.within([&] { return world.rig.all_gone() && !world.server(); }, kThere)) << world.show();
}

TEST(WorldImageBoot, AnImageThatNobodyNamesAnyMoreComesWholeForWhomItHasBegunWith) {
  BootWorld world(4);
  ASSERT_TRUE(world.begin()) << world.show();
  ASSERT_TRUE(world.within([&] { return world.reads >= 1; }, kThere)) << world.show();
  ASSERT_TRUE(world.rig.call("DELETE", "/v1/images/" + kName));
  world.rig.kill("a1", "agent");
  world.rig.start("a1", "agent");
  ASSERT_TRUE(world.within([&] { return world.ready() && world.is_on_its_file(); }, kThere)) << world.show();
}

TEST(WorldImageBoot, ItCanMoveWhenItsImageIsHere) {
  BootWorld world(5);
  ASSERT_TRUE(world.begin()) << world.show();
  ASSERT_TRUE(world.within([&] { return world.ready(); }, kThere)) << world.show();
  ASSERT_TRUE(world.rig.call("POST", "/v1/images/" + kName + "/push", R"({"clouds":["cloud-b"]})"));
  const auto on_b = [&] {
    const auto hosts = world.rig.cloud("cloud-b")->hosts().list();
    return hosts && std::ranges::any_of(hosts->hosts, [](const auto& host) {
             return std::ranges::any_of(host.images, [](const auto& image) { return image.name == kName; });
           });
  };
  ASSERT_TRUE(world.within(on_b, kThere)) << world.show();
  if (!world.whole()) {
    const auto early = world.rig.migrate("cloud-b");
    ASSERT_TRUE(early) << early.error().message;
    const auto refused = [&] { return world.rig.phase(early->migrations[0].id) == wire::MigrationPhase::aborted; };
    EXPECT_TRUE(world.within(refused, Seconds{30})) << world.show();
  }
  ASSERT_TRUE(world.within([&] { return world.is_on_its_file() && world.rig.settled(); }, kThere)) << world.show();
  const auto ordered = world.rig.migrate("cloud-b");
  ASSERT_TRUE(ordered) << ordered.error().message;
  const auto moved = [&] { return world.rig.settled() && world.rig.view().members[0].cloud == "cloud-b"; };
  EXPECT_TRUE(world.within(moved, kThere)) << world.show();
}

// Agent, disk server, cloud and QEMU die, the host is cut off, its power fails.
TEST(WorldImageBoot, WhateverDiesMeanwhileNothingFalseIsReadAndTheImageComes) {
  const auto* wanted = std::getenv("GODWIT_SEEDS");
  const std::uint64_t seeds = wanted ? std::strtoull(wanted, nullptr, 10) : 24;
  for (std::uint64_t seed = 100; seed < 100 + seeds; ++seed) {
    BootWorld world(seed);
    world.rig.world.keep_trace(true);
    ASSERT_TRUE(world.begin()) << "seed " << seed << "\n" << world.show();
    auto& rig = world.rig;
    const auto after = [&](Millis span, std::function<void()> what) {
      rig.world.at(rig.world.now() + span, std::move(what));
    };
    for (int accident = 0; accident < 6; ++accident) {
      rig.world.run_for(Millis{static_cast<std::int64_t>(rig.world.draw_below(4'000))});
      const Millis away{static_cast<std::int64_t>(rig.world.draw_below(3'000))};
      switch (rig.world.draw_below(8)) {
        case 0:
        case 1:
        case 2:
          rig.kill("a1", "agent");
          after(away, [&rig] { rig.start("a1", "agent"); });
          break;
        case 3:
        case 4:
          if (auto* server = world.server()) server->kill();
          break;
        case 5:
          rig.kill("cloud-a", "cloud");
          after(away, [&rig] { rig.start("cloud-a", "cloud"); });
          break;
        case 6:
          rig.world.network().cut("a1", "cloud-a");
          after(away, [&rig] { rig.world.network().heal("a1", "cloud-a"); });
          break;
        default:
          if (rig.world.draw_below(3) == 0) {
            rig.power_off("a1", away);
          } else if (auto* qemu = rig.qemu("a1", rig.instances()[0])) {
            qemu->kill();
          }
          break;
      }
    }
    ASSERT_TRUE(world.within([&] { return world.ready() && world.runs() && world.is_on_its_file(); }, kThere))
        << "seed " << seed << "\n"
        << world.show();
    EXPECT_EQ(rig.guests.problem(), "");
  }
}

}  // namespace
}  // namespace godwit::simtest
