#include "support/image_host.h"

namespace godwit::image {
namespace {

using testing::ImageHost;
using testing::sample_image;
using testing::SampleImage;

constexpr std::size_t kPieces = 200;

// The same disk but for every eighth block of it: no piece is equal.
SampleImage sibling_of(const SampleImage& image) {
  auto disk = image.file(Role::disk);
  std::mt19937_64 random(99);
  for (std::size_t at = 0; at + kPage_bytes <= disk.size(); at += 8 * kPage_bytes) {
    testing::draw(random, ByteSpan(disk).subspan(at, kPage_bytes));
  }
  return testing::image_of({{Role::disk, std::move(disk)}});
}

struct Both {
  ImageHost host;
  SampleImage image{sample_image(1, kPieces)};
  SampleImage sibling{sibling_of(image)};

  explicit Both(bool shares) { host.page_files().share_content(shares); }
  void receive() {
    for (const auto* each : {&image, &sibling}) {
      ASSERT_TRUE(host.receive(*each));
      ASSERT_TRUE(host.settle(*host.images().open(each->id, "the test")));
    }
  }
  // Until nothing is left to share; at most some minutes.
  void rest() {
    ASSERT_TRUE(host.world().run_until([&] { return !host.images().is_sharing(); }, Seconds{300}));
  }
};

TEST(RepositorySharing, WhatTwoImagesHaveInCommonTakesSpaceOnceHoweverTheyCame) {
  Both here(true);
  ASSERT_TRUE(here.host.receive(here.image) && here.host.receive(here.sibling));
  EXPECT_EQ(here.host.page_files().shared_bytes(), 0U) << "nothing of it was known while it came";
  EXPECT_TRUE(here.host.images().is_sharing());
  here.rest();
  const auto disk = here.sibling.file(Role::disk).size();
  EXPECT_GT(here.host.page_files().shared_bytes(), disk / 2);
  testing::expect_true_to(here.host, here.image);
  testing::expect_true_to(here.host, here.sibling);
}

TEST(RepositorySharing, AnotherProcessDoesNotBeginAgain) {
  Both here(true);
  here.receive();
  here.rest();
  const auto shared = here.host.page_files().shared_bytes();
  here.host.restart();
  here.rest();
  here.host.run_for(Seconds{10});
  EXPECT_EQ(here.host.page_files().shared_bytes(), shared);
}

TEST(RepositorySharing, OneThatIsKilledOnTheWayIsFollowedByOneThatFinishes) {
  Both here(true);
  here.receive();
  ASSERT_TRUE(here.host.world().run_until([&] { return here.host.page_files().shared_bytes() > 0; }, Seconds{60}));
  ASSERT_TRUE(here.host.images().is_sharing());
  here.host.restart();
  here.rest();
  EXPECT_GT(here.host.page_files().shared_bytes(), here.sibling.file(Role::disk).size() / 2);
  testing::expect_true_to(here.host, here.sibling);
}

TEST(RepositorySharing, AnImageCanBeRemovedMeanwhile) {
  for (const bool first : {true, false}) {
    Both here(true);
    here.receive();
    ASSERT_TRUE(here.host.world().run_until([&] { return here.host.page_files().shared_bytes() > 0; }, Seconds{60}));
    ASSERT_TRUE(here.host.images().is_sharing());
    EXPECT_TRUE(here.host.images().remove(first ? here.image.id : here.sibling.id));
    here.rest();
    testing::expect_true_to(here.host, first ? here.sibling : here.image);
  }
}

TEST(RepositorySharing, LookingForItIsNoUse) {
  Both here(true);
  ASSERT_TRUE(here.host.receive(here.image));
  const auto used = here.host.images().find(here.image.id)->last_used;
  here.host.run_for(Seconds{120});
  ASSERT_TRUE(here.host.receive(here.sibling));
  here.rest();
  EXPECT_EQ(here.host.images().find(here.image.id)->last_used, used) << "else the wrong one makes room for others";
}

TEST(RepositorySharing, WhereTheFileSystemCannotNothingIsRead) {
  Both here(false);
  here.receive();
  const auto reads = here.host.page_files().reads();
  here.rest();
  here.host.run_for(Seconds{10});
  EXPECT_EQ(here.host.page_files().reads(), reads);
  EXPECT_FALSE(here.host.page_files().exists(std::string(testing::kImages) + "/sharing.from"));
}

}  // namespace
}  // namespace godwit::image
