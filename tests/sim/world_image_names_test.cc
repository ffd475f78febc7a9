// Further names of images in whole simulated worlds: what they cost, what moves with them, and what stays.
#include "sim/image_world.h"

namespace godwit::simtest {
namespace {

const std::string kTag = "web:1";
const std::string kOtherPath = "/home/other.raw";

class TagWorld : public ImageWorld {
 public:
  using ImageWorld::ImageWorld;

  Result<wire::TaggedImage> tag(const std::string& image, const std::string& name, bool move = false) {
    return rig.ask<wire::TaggedImage>("POST", "/v1/images/" + image + "/tag", wire::encode(wire::TagImage{name, move}));
  }
  Result<wire::UntaggedImage> remove(const std::string& name) {
    return rig.ask<wire::UntaggedImage>("DELETE", "/v1/images/" + name);
  }
  [[nodiscard]] bool push(const std::string& name, const std::vector<std::string>& clouds) {
    return rig.call("POST", "/v1/images/" + name + "/push", wire::encode(wire::PushImage{clouds})).has_value();
  }
  [[nodiscard]] bool is_done(const std::string& name) {
    const auto pushes = view(name).pushes;
    return !pushes.empty() &&
           std::ranges::all_of(pushes, [](const wire::ImagePush& push) { return push.state == wire::PushState::done; });
  }
  [[nodiscard]] std::uint64_t sent(const std::string& name) {
    std::uint64_t sum = 0;
    for (const auto& push : view(name).pushes) sum += push.sent_bytes;
    return sum;
  }
  // An image of other bytes, under that name.
  [[nodiscard]] bool add_other(const std::string& name) {
    auto& home = rig.world.host("home");
    ByteVector bytes(kImage_bytes, std::byte{7});
    if (!home.files().write_atomic(kOtherPath, "", 0600)) return false;
    auto file = home.page_files().create(kOtherPath);
    if (!file || !(*file)->write_at(0, bytes)) return false;
    if (!rig.call("POST", "/v1/images", wire::encode(wire::AddImage{name, kOtherPath}))) return false;
    return within([&] { return !view(name).id.empty(); });
  }
  // What the cloud's users mean by the name.
  [[nodiscard]] std::string meant_at(const std::string& cloud, const std::string& name) {
    const auto list = rig.cloud(cloud)->images().view({"alice", {}, false});
    if (!list) return "?";
    const auto found = std::ranges::find(list->images, name, &wire::CloudImage::name);
    return found == list->images.end() ? "" : found->id;
  }
};

TEST(WorldImageNames, AFurtherNameIsTheSameImageAndOutlivesTheFirst) {
  TagWorld world(1);
  ASSERT_TRUE(world.begin() && world.comes_everywhere()) << world.show();
  const auto tagged = world.tag(kName, kTag);
  ASSERT_TRUE(tagged) << tagged.error().message;
  EXPECT_EQ(tagged->id, world.id());
  EXPECT_EQ(tagged->before, "");
  ASSERT_TRUE(world.tag(kName, kTag)) << "asked twice it is done once";
  world.restart_sky();
  ASSERT_TRUE(world.within([&] { return world.view(kTag).id == world.id(); }, Seconds{10}));
  EXPECT_EQ(world.meant_at("cloud-a", kTag), "") << "until it is pushed";
  ASSERT_TRUE(world.push(kTag, {"cloud-a"}));
  ASSERT_TRUE(world.within([&] { return world.is_done(kTag) && world.says("a3", kTag); })) << world.show();
  EXPECT_EQ(world.sent(kTag), 0U) << "the cloud has it";

  const auto gone = world.remove(kName);
  ASSERT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(gone->names, std::vector<std::string>{kTag});
  ASSERT_TRUE(world.within([&] { return !world.says("a1") && !world.says("b1"); }));
  world.rig.world.run_for(Seconds{30});
  EXPECT_EQ(world.meant_at("cloud-a", kTag), world.id());
  EXPECT_TRUE(world.is_right("a1", kAgentDisk) && world.is_right("cloud-a", kDepotDisk));
  EXPECT_FALSE(world.is_right("b1", kAgentDisk)) << "where it had that one name";
  EXPECT_TRUE(world.is_kept_at_home());
  EXPECT_EQ(world.view(kName).name, "");

  const auto last = world.remove(kTag);
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_TRUE(last->names.empty());
  EXPECT_TRUE(world.within([&] { return !world.is_right("a1", kAgentDisk) && !world.is_right("a3", kAgentDisk); }));
  EXPECT_FALSE(world.is_kept_at_home());
}

TEST(WorldImageNames, ANameThatMeansAnotherContentMovesOnlyWhereThatIsSaid) {
  TagWorld world(2);
  ASSERT_TRUE(world.begin() && world.comes_everywhere()) << world.show();
  ASSERT_TRUE(world.tag(kName, kTag) && world.push(kTag, {}));
  ASSERT_TRUE(world.within([&] { return world.is_done(kTag); }));
  ASSERT_TRUE(world.add_other("web-2"));
  const auto other = world.view("web-2").id;
  const auto refused = world.tag("web-2", kTag);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_TRUE(refused.error().message.contains("--move")) << refused.error().message;
  EXPECT_EQ(world.view(kTag).id, world.id());
  const auto moved = world.tag("web-2", kTag, true);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->before, world.view(kName).ami);
  EXPECT_EQ(moved->clouds.size(), 2U);
  EXPECT_FALSE(world.is_done(kTag)) << "what is made of it waits for the new content";
  ASSERT_TRUE(world.within([&] { return world.is_done(kTag); }));
  for (const auto* cloud : {"cloud-a", "cloud-b"}) {
    EXPECT_EQ(world.meant_at(cloud, kTag), other);
    EXPECT_EQ(world.meant_at(cloud, kName), world.id());
  }
}

TEST(WorldImageNames, AClusterIsMadeOfATagAndItsContentGoesToItsCloudOnce) {
  TagWorld world(3);
  ASSERT_TRUE(world.take_in() && world.tag(kName, kTag)) << world.show();
  ASSERT_TRUE(world.push(kName, {"cloud-a"}));  // both at once
  ASSERT_TRUE(world.rig.begin_cluster({"cloud-a", "cloud-a"}, kTag));
  const auto ready = [&] { return world.rig.view().state == wire::ClusterState::ready; };
  ASSERT_TRUE(world.within(ready)) << wire::encode(world.rig.view()) << world.show();
  EXPECT_TRUE(world.is_done(kName) && world.is_done(kTag));
  EXPECT_LT(world.sent(kName) + world.sent(kTag), kImage_bytes - kHole_bytes + 100'000);
  ASSERT_TRUE(world.remove(kName) && world.remove(kTag));
  world.rig.world.run_for(Seconds{90});
  EXPECT_EQ(world.rig.view().state, wire::ClusterState::ready) << "its instances keep it";
}

TEST(WorldImageNames, WhatIsNoNameOrHasNoImageIsRefused) {
  TagWorld world(4);
  ASSERT_TRUE(world.take_in());
  for (const auto* bad : {"", "web:", ":1", "a:b:c", "../up", "a/b", ".x"}) {
    const auto refused = world.tag(kName, bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument) << bad;
  }
  const auto none = world.tag("none", kTag);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_EQ(world.rig.sky()->images().list().images.size(), 1U);
}

}  // namespace
}  // namespace godwit::simtest
