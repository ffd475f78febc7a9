#include "content/library.h"

#include "content/store.h"
#include "support/pages.h"

#include <gtest/gtest.h>

namespace godwit::content {
namespace {

using testing::page_of;

constexpr std::uint64_t kBlocks = 2000;

class ManyBlocks final : public Blocks {
 public:
  std::uint64_t count() const override { return kBlocks; }
  bool is_hole(std::uint64_t) const override { return false; }
  Result<> read(std::uint64_t block, ByteSpan into) const override {
    for (; !into.empty(); into = into.subspan(kPage_bytes)) {
      const auto page = page_of(block++);
      std::copy(page.begin(), page.end(), into.begin());
    }
    return {};
  }
};

Library library(std::size_t limit_bytes) {
  return Library([](const std::string&) { return Result<std::unique_ptr<Blocks>>(std::make_unique<ManyBlocks>()); },
                 limit_bytes);
}

// What an index has before anything is in it, and room for some hundreds of blocks.
std::size_t for_some_blocks() {
  auto images = library(kImageIndexes_bytes);
  const auto image = images.find("empty");
  return images.index_bytes() + 4'000;
}

bool finds(const Library::Volume& volume, std::uint64_t block) {
  const auto page = page_of(block);
  return volume.index->find(page, fingerprint_of(page), 0) == block;
}

TEST(Library, AnImageIsIndexedToItsEnd) {
  auto images = library(kImageIndexes_bytes);
  const auto image = images.find("debian");
  while (images.index_more(*image, 100)) {
  }
  EXPECT_TRUE(image->whole);
  EXPECT_TRUE(finds(*image, 0));
  EXPECT_TRUE(finds(*image, kBlocks - 1));
}

TEST(Library, WhatLiesBehindTheLimitIsNotFoundWhoeverIndexes) {
  auto images = library(for_some_blocks());
  const auto image = images.find("debian");
  while (images.index_more(*image, 100)) {
  }
  EXPECT_FALSE(image->whole);
  EXPECT_LT(images.index_bytes(), for_some_blocks() + 4'000) << "a step more at most";
  EXPECT_TRUE(finds(*image, 0));
  EXPECT_FALSE(finds(*image, kBlocks - 1));
}

TEST(Library, ImagesThatNobodyUsesMakeRoom) {
  auto images = library(for_some_blocks());
  auto first = images.find("debian");
  while (images.index_more(*first, 100)) {
  }
  first.reset();
  const auto second = images.find("alpine");
  EXPECT_TRUE(images.index_more(*second, 100));
  EXPECT_TRUE(finds(*second, 0));
}

}  // namespace
}  // namespace godwit::content
