#include "image/chain_frames.h"

#include <gtest/gtest.h>

#include <list>

namespace godwit::image::chain {
namespace {

TEST(ChainFrames, TheNewestOfAnImageAreKept) {
  Frames frames(std::make_shared<std::size_t>(0));
  for (std::uint64_t piece = 0; piece < 2 * kKeptFrames; ++piece) frames.keep(piece, frames.fresh());
  EXPECT_EQ(frames.find(kKeptFrames - 1), nullptr);
  EXPECT_NE(frames.find(kKeptFrames), nullptr);
  frames.forget();
  EXPECT_EQ(frames.find(2 * kKeptFrames - 1), nullptr);
}

TEST(ChainFrames, OfManyImagesAtOnceFewerAreKeptOfEach) {
  const auto all = std::make_shared<std::size_t>(0);
  constexpr std::size_t kImages = 20;
  {
    std::list<Frames> images;
    for (std::size_t i = 0; i < kImages; ++i) images.emplace_back(all);
    for (std::uint64_t piece = 0; piece < 2 * kKeptFrames; ++piece) {
      for (auto& each : images) each.keep(piece, each.fresh());
    }
    EXPECT_LE(*all, kKeptOfAll + kImages * kKeptFewest);
    for (auto& each : images) EXPECT_NE(each.find(2 * kKeptFrames - 1), nullptr) << "a successor may be close";
    for (std::size_t i = 2; i < kImages; ++i) images.pop_back();
    for (std::uint64_t piece = 0; piece < 2 * kKeptFrames; ++piece) images.front().keep(piece, images.front().fresh());
    EXPECT_NE(images.front().find(kKeptFrames), nullptr) << "there is room again";
  }
  EXPECT_EQ(*all, 0U);
}

}  // namespace
}  // namespace godwit::image::chain
