// Images in whole simulated worlds: from a file of the user's to the hosts of two clouds, whatever fails on the way.
#include "sim/clock.h"
#include "sim/host.h"
#include "sim/world_rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace godwit::simtest {
namespace {

const std::string kName = "web";
const std::string kPath = "/home/web.raw";
constexpr std::size_t kImage_bytes = 3UL << 20U;
constexpr std::size_t kHole_bytes = 1UL << 20U;  // of zeros, in its middle
constexpr Seconds kThere{120};
constexpr const char* kAgentDisk = "/godwit/images";  // kAgentState
constexpr const char* kDepotDisk = "/cloud/images";
constexpr Millis kLook{500};

RigPlan three_hosts_each() {
  RigPlan plan;
  plan.hosts_per_cloud = 3;
  return plan;
}

class ImageWorld {
 public:
  explicit ImageWorld(std::uint64_t seed) : rig(seed, three_hosts_each()), bytes_(kImage_bytes) {
    sim::SimRandom random(seed);
    random.fill(ByteSpan(bytes_).first(kHole_bytes));
    random.fill(ByteSpan(bytes_).last(kHole_bytes));
    auto& home = rig.world.host("home");  // whose disk is two: of small files, and of those written in place
    EXPECT_TRUE(home.files().make_directories("/home", 0700, 0) && home.files().write_atomic(kPath, "", 0600));
    EXPECT_TRUE(home.page_files().make_directory("/home", 0700));
    auto file = home.page_files().create(kPath);
    EXPECT_TRUE(file && (*file)->write_at(0, bytes_));
  }

  // Taken in, and on its way to both clouds.
  [[nodiscard]] bool begin(const std::function<void(const std::string& id)>& before_it_is_pushed = {}) {
    if (!take_in()) return false;
    if (before_it_is_pushed) before_it_is_pushed(id_);
    return rig.call("POST", "/v1/images/" + kName + "/push", "{}").has_value();
  }
  [[nodiscard]] bool take_in() {
    if (!rig.call("POST", "/v1/images", wire::encode(wire::AddImage{kName, kPath}))) return false;
    if (!within([&] { return !view().id.empty() || !view().problem.empty(); })) return false;
    id_ = view().id;
    return !id_.empty();
  }
  // Every host says that it has it, and has it, within kThere.
  [[nodiscard]] bool comes_everywhere() {
    return within([&] { return is_everywhere(); });
  }
  [[nodiscard]] bool is_everywhere() {
    return std::ranges::all_of(rig.agent_hosts(), [&](const std::string& host) { return holds(host); });
  }
  // Looks now and then: it costs more than a simulated event.
  [[nodiscard]] bool within(const std::function<bool()>& holds, Nanos limit = kThere) {
    const auto deadline = rig.world.now() + limit;
    while (!holds()) {
      if (rig.world.now() >= deadline) return false;
      rig.world.run_for(kLook);
    }
    return true;
  }
  [[nodiscard]] bool holds(const std::string& host) {
    const auto file = rig.world.host(host).page_files().open(fmt::format("{}/images/{}/disk", kAgentState, id_));
    if (!says(host) || !file || (*file)->size() != bytes_.size()) return false;
    ByteVector found(bytes_.size());
    return (*file)->read_at(0, found) && found == bytes_;
  }
  [[nodiscard]] bool says(const std::string& host) {
    for (const auto* name : {"cloud-a", "cloud-b"}) {
      auto* at = rig.cloud(name);
      const auto hosts = at ? at->hosts().list() : fail(Errc::unavailable, "it is down");
      if (!hosts) continue;
      for (const auto& each : hosts->hosts) {
        const auto named = [](const wire::ImageReport& image) { return image.name == kName; };
        if (each.name == host) return std::ranges::any_of(each.images, named);
      }
    }
    return false;
  }
  [[nodiscard]] wire::SkyImage view() {
    const auto got = rig.sky() ? rig.sky()->images().view(kName) : fail(Errc::unavailable, "it is down");
    return got ? *got : wire::SkyImage{};
  }
  // One bit of the disk's file in the repository `images` of a host becomes another.
  void flip(const std::string& host, const char* images, std::uint64_t offset) {
    rig.world.host(host).page_files().flip(disk_in(images), offset);
  }
  [[nodiscard]] bool is_right(const std::string& host, const char* images) {
    const auto file = rig.world.host(host).page_files().open(disk_in(images));
    ByteVector found(bytes_.size());
    return file && (*file)->read_at(0, found) && found == bytes_;
  }
  [[nodiscard]] wire::SkyImageCheck check() {
    const auto said = rig.ask<wire::SkyImageCheck>("GET", "/v1/images/" + kName + "/check");
    return said ? *said : wire::SkyImageCheck{};
  }
  // Every place of both clouds has looked at all of it, and has back what was bad.
  [[nodiscard]] bool check_is_settled() {
    const auto said = check();
    return said.clouds.size() == 2 && std::ranges::all_of(said.clouds, [](const wire::CloudImageCheck& cloud) {
             return cloud.places.size() == 4 && std::ranges::all_of(cloud.places, [&](const wire::PlaceCheck& place) {
                      return place.check.done && place.check.number >= cloud.number &&
                             place.check.repaired == place.check.bad;
                    });
           });
  }
  [[nodiscard]] wire::ImageCheck found(const std::string& at, const std::string& host) {
    for (const auto& cloud : check().clouds) {
      for (const auto& place : cloud.places) {
        if (cloud.cloud == at && place.host == host) return place.check;
      }
    }
    return {};
  }
  [[nodiscard]] std::string show_check() { return show() + wire::encode(check()); }
  [[nodiscard]] std::string show() {
    std::string text = wire::encode(view()) + "\n";
    for (const auto& host : rig.agent_hosts()) text += fmt::format("{}: {}\n", host, holds(host));
    return text;
  }

  WorldRig rig;

 private:
  [[nodiscard]] std::string disk_in(const char* images) const { return fmt::format("{}/{}/disk", images, id_); }

  ByteVector bytes_;
  std::string id_;
};

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
