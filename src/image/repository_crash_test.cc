// The power fails at any write, and what was not synced is lost in part: whatever is listed afterwards is true.
#include "support/image_host.h"

namespace godwit::image {
namespace {

using testing::ImageHost;
using testing::sample_image;
using testing::SampleImage;

struct Story {
  SampleImage first{sample_image(1, 5)};
  SampleImage second{sample_image(2, 5)};
};

// What an agent does, until something fails: one image comes, is told, another comes, the first one goes and comes
// again.
sys::Task<void> live(ImageHost& host, const Story& story) {
  auto& images = host.images();
  for (const auto* const image : {&story.first, &story.second}) {
    const auto lease = images.begin(image->text, ByteVector(70, std::byte{1}), "a transfer");
    if (!lease || !(*lease)->set_list(image->list)) co_return;
    for (std::uint64_t piece = 0; piece < image->pieces.size(); ++piece) {
      if (!(*lease)->put(piece, image->pieces[piece])) co_return;
      if (piece != 3) continue;
      const auto settled = co_await images.settle(*lease);
      if (!settled) co_return;
    }
    const auto settled = co_await images.settle(*lease);
    if (!settled) co_return;
  }
  if (!images.hold(story.second.id, "i-00000000000000001") || !images.remove(story.first.id)) co_return;
  (void)host.receive(story.first);
}

void expect_all_true(ImageHost& host, const Story& story) {
  for (const auto& each : host.images().list()) {
    testing::expect_true_to(host, each.id == story.first.id ? story.first : story.second);
  }
}

std::uint64_t writes_of_all(const Story& story) {
  ImageHost host;
  host.run(live(host, story));
  host.run_for(2 * kSettleEvery);
  return host.fuse().writes;
}

TEST(RepositoryCrash, AtAnyWriteLeavesATrueRepositoryThatCanGoOn) {
  const Story story;
  const auto writes = writes_of_all(story);
  ASSERT_GT(writes, 60U);
  for (std::uint64_t after = 0; after <= writes; ++after) {
    SCOPED_TRACE(fmt::format("after {} of {} writes", after, writes));
    ImageHost host(after + 1);
    host.fuse() = {.writes_left = after, .writes = 0, .blown = false};
    host.run(live(host, story));
    host.run_for(2 * kSettleEvery);
    host.lose_power();
    const auto booted = host.boot();
    ASSERT_TRUE(booted) << booted.error().message;
    expect_all_true(host, story);
    ASSERT_TRUE(host.receive(story.first) && host.receive(story.second));
    EXPECT_EQ(host.images().list().size(), 2U);
    for (const auto& each : host.images().list()) EXPECT_TRUE(each.complete());
    expect_all_true(host, story);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(RepositoryCrash, WhatWasSettledIsNeverLost) {
  const Story story;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    ImageHost host(seed);
    std::mt19937_64 random(seed);
    {
      const auto lease = host.images().begin(story.first.text, {}, "a transfer");
      ASSERT_TRUE(lease && (*lease)->set_list(story.first.list));
      ASSERT_TRUE((*lease)->put(0, story.first.pieces[0]));
      ASSERT_TRUE(host.settle(*lease));
      ASSERT_TRUE(host.images().hold(story.first.id, "i-00000000000000001"));
      host.fuse().writes_left = random() % 30;
      (void)host.receive(story.second);
      (void)host.receive(**lease, story.first);
    }
    host.lose_power();
    ASSERT_TRUE(host.boot());
    const auto status = host.images().find(story.first.id);
    ASSERT_TRUE(status);
    EXPECT_EQ(status->users, std::vector<std::string>{"i-00000000000000001"});
    EXPECT_TRUE(host.images().open(story.first.id, "the test").value()->has(0));
    expect_all_true(host, story);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace godwit::image
