// Who uses an image keeps it; who needs room gets it, or hears why not.
#include "support/image_host.h"

namespace godwit::image {
namespace {

using testing::ImageHost;
using testing::sample_image;

constexpr const char* kInstance = "i-00000000000000001";

std::uint64_t need_of(const testing::SampleImage& image) {
  ImageHost host;
  EXPECT_TRUE(host.receive(image));
  return host.images().need_bytes();
}

RepositoryLimits room_for(std::uint64_t bytes, bool evict) {
  return {.bytes = bytes, .keep_free_bytes = 0, .evict = evict};
}

TEST(RepositoryUse, AnImageInUseIsNotRemovedAndSaysByWhom) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  auto lease = host.images().open(image.id, "transfer to b1");
  ASSERT_TRUE(lease);
  auto copy = *lease;
  lease->reset();
  const auto refused = host.images().remove(image.id);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_NE(refused.error().message.find("transfer to b1"), std::string::npos) << refused.error().message;
  copy.reset();
  ASSERT_TRUE(host.images().remove(image.id));
  EXPECT_TRUE(host.images().list().empty());
  EXPECT_EQ(host.images().remove(image.id).error().code, Errc::not_found);
  EXPECT_EQ(host.page_files().count(), 0U) << "nothing is left of it";
  EXPECT_FALSE(host.files().exists(fmt::format("{}/{}", testing::kImages, image.id)));
}

TEST(RepositoryUse, WhatAnInstanceNeedsIsThereAfterACrashToo) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  ASSERT_TRUE(host.images().hold(image.id, kInstance));
  ASSERT_TRUE(host.images().hold(image.id, kInstance)) << "twice is once";
  host.run_for(2 * kSettleEvery);
  host.lose_power();
  ASSERT_TRUE(host.boot());
  EXPECT_EQ(host.images().remove(image.id).error().code, Errc::conflict);
  EXPECT_EQ(host.images().find(image.id)->users, std::vector<std::string>{kInstance});
  ASSERT_TRUE(host.images().let_go(image.id, kInstance));
  ASSERT_TRUE(host.images().let_go(image.id, kInstance));
  EXPECT_TRUE(host.images().remove(image.id));
}

TEST(RepositoryUse, HoldersThatACrashLeftBehindAreLetGo) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  ASSERT_TRUE(host.images().hold(image.id, kInstance) && host.images().hold(image.id, "i-00000000000000002"));
  host.restart();
  ASSERT_TRUE(host.images().hold_only({"i-00000000000000002"}));
  EXPECT_EQ(host.images().find(image.id)->users, std::vector<std::string>{"i-00000000000000002"});
  host.restart();
  EXPECT_EQ(host.images().find(image.id)->users.size(), 1U);
}

TEST(RepositoryUse, HoldersThatCannotBeReadCountAsSomebody) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  ASSERT_TRUE(host.files().write_atomic(fmt::format("{}/{}/holders.json", testing::kImages, image.id), "{", 0644));
  host.restart();
  EXPECT_EQ(host.images().remove(image.id).error().code, Errc::conflict);
  ASSERT_TRUE(host.images().hold_only({}));
  EXPECT_TRUE(host.images().remove(image.id));
}

TEST(RepositoryUse, AHolderMustHaveAName) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  EXPECT_FALSE(host.images().hold(image.id, ""));
  EXPECT_FALSE(host.images().hold(image.id, std::string(64, 'x')));
  EXPECT_EQ(host.images().hold(ImageId(64, '0'), kInstance).error().code, Errc::not_found);
}

TEST(RepositoryUse, ThereIsNoRoomSaysSoBeforeAnythingIsWritten) {
  const auto image = sample_image(1);
  const auto need = need_of(image);
  ImageHost host(1, room_for(need - 1, true));
  const auto lease = host.images().begin(image.text, {}, "a transfer");
  ASSERT_TRUE(lease);
  const auto refused = (*lease)->set_list(image.list);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::exhausted);
  EXPECT_NE(refused.error().message.find("within its limit"), std::string::npos) << refused.error().message;
  EXPECT_FALSE((*lease)->has_list());
}

TEST(RepositoryUse, ADiskThatIsAlmostFullSaysSoToo) {
  const auto image = sample_image(1);
  ImageHost host;
  host.page_files().limit_disk(need_of(image) * 3);  // the simulated disk has no holes
  ASSERT_TRUE(host.receive(image));
  const auto other = sample_image(2, 40);
  const auto lease = host.images().begin(other.text, {}, "a transfer");
  const auto refused = lease ? (*lease)->set_list(other.list) : pass(lease);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::exhausted);
  testing::expect_true_to(host, image);
}

TEST(RepositoryUse, TheImageThatWasNotUsedForLongestMakesRoom) {
  const auto one = sample_image(1);
  const auto two = sample_image(2);
  const auto three = sample_image(3);
  ImageHost host(1, room_for(need_of(one) + need_of(two) + need_of(three) / 2, true));
  ASSERT_TRUE(host.receive(one));
  host.run_for(Seconds{100});
  ASSERT_TRUE(host.receive(two));
  host.run_for(Seconds{100});
  ASSERT_TRUE(host.images().open(one.id, "an instance"));  // and ends
  host.run_for(Seconds{100});
  ASSERT_TRUE(host.receive(three));
  EXPECT_TRUE(host.images().find(one.id) && host.images().find(three.id));
  EXPECT_FALSE(host.images().find(two.id));
}

TEST(RepositoryUse, LastUseIsRememberedOverARestart) {
  const auto one = sample_image(1);
  const auto two = sample_image(2);
  const auto three = sample_image(3);
  ImageHost host(1, room_for(need_of(one) + need_of(two) + need_of(three) / 2, true));
  ASSERT_TRUE(host.receive(two));
  host.run_for(Seconds{100});
  ASSERT_TRUE(host.receive(one));
  host.run_for(Seconds{100});
  host.restart();
  ASSERT_TRUE(host.receive(three));
  EXPECT_FALSE(host.images().find(two.id));
}

TEST(RepositoryUse, WhatIsLeasedHeldOrOnItsWayNeverMakesRoom) {
  const auto one = sample_image(1);
  const auto two = sample_image(2);
  const auto three = sample_image(3);
  const auto four = sample_image(4);
  ImageHost host(1, room_for(need_of(one) + need_of(two) + need_of(three) + need_of(four) / 2, true));
  ASSERT_TRUE(host.receive(one) && host.receive(two));
  ASSERT_TRUE(host.images().hold(one.id, kInstance));
  const auto used = host.images().open(two.id, "a transfer");
  {
    const auto coming = host.images().begin(three.text, {}, "a transfer");
    ASSERT_TRUE(coming && (*coming)->set_list(three.list));
  }
  EXPECT_EQ(host.receive(four).error().code, Errc::exhausted);
  for (const auto* const each : {&one, &two, &three}) EXPECT_TRUE(host.images().find(each->id));
  testing::expect_true_to(host, one);
  testing::expect_true_to(host, two);
}

TEST(RepositoryUse, NothingGoesWhereThatWouldNotBeEnough) {
  const auto one = sample_image(1);
  const auto large = sample_image(2, 60);
  ImageHost host(1, room_for(need_of(one) * 2, true));
  ASSERT_TRUE(host.receive(one));
  EXPECT_EQ(host.receive(large).error().code, Errc::exhausted);
  EXPECT_TRUE(host.images().find(one.id)->complete());
}

TEST(RepositoryUse, WhereImagesAreTheOnlyOnesNoneMakesRoom) {
  const auto one = sample_image(1);
  const auto two = sample_image(2);
  ImageHost host(1, room_for(need_of(one) + need_of(two) / 2, false));
  ASSERT_TRUE(host.receive(one));
  EXPECT_EQ(host.receive(two).error().code, Errc::exhausted);
  EXPECT_TRUE(host.images().find(one.id));
}

}  // namespace
}  // namespace godwit::image
