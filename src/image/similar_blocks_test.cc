#include "image/similar_blocks.h"

#include "base/page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace godwit::image {
namespace {

ByteVector noise(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  ByteVector out(size);
  for (auto& each : out) each = static_cast<std::byte>(random());
  return out;
}

class SimilarBlocksTest : public testing::Test {
 protected:
  SimilarBlocks blocks;
  ByteVector file = noise(64 * kPage_bytes, 1);

  ByteView block(std::size_t at) const { return ByteView(file).subspan(at, kPage_bytes); }
  void SetUp() override {
    for (std::uint32_t number = 0; number < 64; ++number)
      ASSERT_TRUE(blocks.add(sketch_of(block(number * kPage_bytes)), number));
  }
};

TEST_F(SimilarBlocksTest, ABlockOfWhichSomeBytesAreOthersIsFound) {
  auto altered = ByteVector(block(7 * kPage_bytes).begin(), block(7 * kPage_bytes).end());
  for (std::size_t at = 0; at < altered.size(); at += 1000) altered[at] ^= std::byte{1};
  const auto found = blocks.find(sketch_of(altered));
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front().number, 7U);
}

TEST_F(SimilarBlocksTest, WhatHasMovedIsFoundInTheTwoBlocksThatItLiesIn) {
  for (const std::size_t by : {1000UL, 2047UL, 3001UL}) {
    std::size_t both = 0;
    for (std::uint32_t number = 0; number < 60; ++number) {
      std::vector<std::uint32_t> numbers;
      for (const auto& each : blocks.find(sketch_of(block(number * kPage_bytes + by)))) numbers.push_back(each.number);
      std::ranges::sort(numbers);
      both += numbers == std::vector{number, number + 1} ? 1 : 0;
    }
    EXPECT_GT(both, 40U) << by;
  }
}

TEST_F(SimilarBlocksTest, WhatHasNothingInCommonIsNotFound) {
  const auto other = noise(64 * kPage_bytes, 2);
  for (std::size_t at = 0; at < other.size(); at += kPage_bytes) {
    EXPECT_TRUE(blocks.find(sketch_of(ByteView(other).subspan(at, kPage_bytes))).empty());
  }
}

TEST_F(SimilarBlocksTest, BlocksOfOneByteHaveNothingToBeKnownBy) {
  const ByteVector same(kPage_bytes, std::byte{'x'});
  ASSERT_TRUE(blocks.add(sketch_of(same), 100));
  EXPECT_LE(blocks.find(sketch_of(same)).size(), 1U);
}

TEST(SimilarBlocks, TakesNoMoreMemoryThanItMay) {
  constexpr std::size_t kLimit = 256UL << 10U;
  SimilarBlocks few(kLimit);
  std::uint32_t number = 0;
  while (few.add(sketch_of(noise(kPage_bytes, number)), number)) ASSERT_LT(++number, 100'000U);
  EXPECT_LE(few.bytes(), kLimit);
  EXPECT_GT(number, 3000U);
  EXPECT_FALSE(few.find(sketch_of(noise(kPage_bytes, 17))).empty());
}

}  // namespace
}  // namespace godwit::image
