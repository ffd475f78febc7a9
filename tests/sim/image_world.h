// A simulated world whose user has an image at home: web, of some MiB with a hole, for the hosts of two clouds.
#pragma once

#include "sim/clock.h"
#include "sim/host.h"
#include "sim/within.h"
#include "sim/world_rig.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::simtest {

inline const std::string kName = "web";
inline const std::string kPath = "/home/web.raw";
inline constexpr std::size_t kImage_bytes = 3UL << 20U;
inline constexpr std::size_t kHole_bytes = 1UL << 20U;  // of zeros, in its middle
inline constexpr Seconds kThere{120};
inline constexpr const char* kAgentDisk = "/godwit/images";  // kAgentState
inline constexpr const char* kDepotDisk = "/cloud/images";
inline constexpr const char* kSkyDisk = "/sky/images";
inline constexpr Millis kLook{500};

inline RigPlan three_hosts_each() {
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
  [[nodiscard]] bool within(const std::function<bool()>& holds, Nanos limit = kThere) {
    return simtest::within(rig.world, limit, kLook, holds);
  }
  [[nodiscard]] bool holds(const std::string& host) {
    const auto file = rig.world.host(host).page_files().open(fmt::format("{}/images/{}/disk", kAgentState, id_));
    if (!says(host) || !file || (*file)->size() != bytes_.size()) return false;
    ByteVector found(bytes_.size());
    return (*file)->read_at(0, found) && found == bytes_;
  }
  [[nodiscard]] bool says(const std::string& host, const std::string& image = kName) {
    for (const auto* name : {"cloud-a", "cloud-b"}) {
      auto* at = rig.cloud(name);
      const auto hosts = at ? at->hosts().list() : fail(Errc::unavailable, "it is down");
      if (!hosts) continue;
      for (const auto& one : hosts->hosts) {
        const auto named = [&](const wire::ImageReport& each) { return each.name == image; };
        if (one.name == host) return std::ranges::any_of(one.images, named);
      }
    }
    return false;
  }
  [[nodiscard]] wire::SkyImage view(const std::string& name = kName) {
    const auto got = rig.sky() ? rig.sky()->images().view(name) : fail(Errc::unavailable, "it is down");
    return got ? *got : wire::SkyImage{};
  }
  [[nodiscard]] bool is_kept_at_home() {
    return rig.world.host("home").files().exists(fmt::format("{}/{}/manifest.json", kSkyDisk, id_));
  }
  void restart_sky() {
    rig.kill("home", "sky");
    rig.world.run_for(Seconds{1});
    rig.start("home", "sky");
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
  // Every place of both clouds, and sky, has looked at all of it, and has back what was bad.
  [[nodiscard]] bool check_is_settled() {
    const auto said = check();
    return said.clouds.size() == 3 && std::ranges::all_of(said.clouds, [](const wire::CloudImageCheck& cloud) {
             const auto places = cloud.cloud.empty() ? 1U : 4U;
             return cloud.places.size() == places &&
                    std::ranges::all_of(cloud.places, [&](const wire::PlaceCheck& place) {
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
  [[nodiscard]] const std::string& id() const { return id_; }
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

}  // namespace godwit::simtest
