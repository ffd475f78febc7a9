#include "content/image_index.h"

#include "content/store.h"
#include "support/pages.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace godwit::content {
namespace {

using testing::page_of;

// An image whose block i is that of the i-th number; 0 is a hole.
class FakeBlocks final : public Blocks {
 public:
  explicit FakeBlocks(std::vector<std::uint64_t> numbers) : numbers_(std::move(numbers)) {}

  std::uint64_t count() const override { return numbers_.size(); }
  Result<> read(std::uint64_t block, ByteSpan into) const override {
    ++reads;
    if (failing) return fail(Errc::io, "read: broken");
    for (; !into.empty(); ++block, into = into.subspan(kPage_bytes)) {
      if (block >= numbers_.size()) return fail(Errc::invalid_argument, "read: there is no block {}", block);
      if (unreadable.contains(block)) return fail(Errc::unsupported, "read: compressed");
      const auto page = numbers_[block] == 0 ? ByteVector(kPage_bytes) : page_of(numbers_[block]);
      std::copy(page.begin(), page.end(), into.begin());
    }
    return {};
  }
  bool is_hole(std::uint64_t block) const override { return numbers_[block] == 0 && !zeros_are_written; }

  mutable std::uint64_t reads{0};
  bool failing{false};
  bool zeros_are_written{false};
  std::set<std::uint64_t> unreadable;

 private:
  std::vector<std::uint64_t> numbers_;
};

std::optional<std::uint64_t> find(const ImageIndex& index, const ByteVector& page, std::uint64_t near = 0) {
  return index.find(page, fingerprint_of(page), near);
}

void read_all(ImageIndex& index) {
  for (;;) {
    const auto more = index.advance(100);
    ASSERT_TRUE(more) << more.error().message;
    if (!*more) return;
  }
}

std::vector<std::uint64_t> numbers(std::uint64_t from, std::uint64_t count) {
  std::vector<std::uint64_t> all(count);
  std::iota(all.begin(), all.end(), from);
  return all;
}

TEST(ImageIndex, EveryBlockIsFoundAndNothingElse) {
  const FakeBlocks blocks(numbers(1, 3000));
  ImageIndex index(blocks);
  read_all(index);
  for (std::uint64_t block = 0; block < 3000; ++block) EXPECT_EQ(find(index, page_of(block + 1)), block);
  EXPECT_FALSE(find(index, page_of(5000)));
  EXPECT_FALSE(index.find(page_of(5000), fingerprint_of(page_of(1)), 0)) << "a fingerprint is no identity";
  EXPECT_LE(index.bytes() - 16 * kPage_bytes, 3000U * 12);
}

TEST(ImageIndex, BlocksThatFollowEachOtherAreReadTogether) {
  const FakeBlocks blocks(numbers(1, 512));
  ImageIndex index(blocks);
  read_all(index);
  const auto before = blocks.reads;
  for (std::uint64_t block = 0; block < 512; ++block) EXPECT_EQ(find(index, page_of(block + 1), block), block);
  EXPECT_LT(blocks.reads - before, 70U);
}

TEST(ImageIndex, OneStepReadsNoMoreThanItIsAllowed) {
  const FakeBlocks blocks(numbers(1, 100));
  ImageIndex index(blocks);
  EXPECT_EQ(index.advance(10).value(), true);
  EXPECT_EQ(find(index, page_of(10)), 9U);
  EXPECT_FALSE(find(index, page_of(11))) << "not read yet";
  EXPECT_EQ(index.advance(89).value(), true);
  EXPECT_EQ(index.advance(89).value(), false);
  EXPECT_EQ(index.advance(1).value(), false);
  EXPECT_EQ(find(index, page_of(100)), 99U);
}

TEST(ImageIndex, HolesAndZerosCostNoMemory) {
  FakeBlocks blocks(std::vector<std::uint64_t>(5000));
  {
    ImageIndex index(blocks);
    read_all(index);
    EXPECT_EQ(blocks.reads, 0U);
    EXPECT_FALSE(find(index, ByteVector(kPage_bytes)));
  }
  blocks.zeros_are_written = true;
  ImageIndex index(blocks);
  read_all(index);
  EXPECT_LT(index.bytes(), 80'000U);
  EXPECT_FALSE(find(index, ByteVector(kPage_bytes)));
}

TEST(ImageIndex, OfBlocksThatAreEqualTheNearestIsChosen) {
  auto each = numbers(1, 100);
  each[10] = each[50] = each[90] = 7777;
  const FakeBlocks blocks(each);
  ImageIndex index(blocks);
  read_all(index);
  EXPECT_EQ(find(index, page_of(7777), 0), 10U);
  EXPECT_EQ(find(index, page_of(7777), 49), 50U);
  EXPECT_EQ(find(index, page_of(7777), 90), 90U);
}

TEST(ImageIndex, ContentOfThousandsOfBlocksMakesRunsAndDrivesOutNothing) {
  std::vector<std::uint64_t> each(4000, 7777);
  for (std::uint64_t i = 0; i < 500; ++i) each[i * 8] = i + 1;
  const FakeBlocks blocks(each);
  ImageIndex index(blocks);
  read_all(index);
  for (std::uint64_t i = 0; i < 500; ++i) EXPECT_EQ(find(index, page_of(i + 1)), i * 8);
  EXPECT_EQ(find(index, page_of(7777), 3001), 3001U) << "near itself";
  EXPECT_EQ(find(index, page_of(7777), 3000), 3001U) << "its neighbour";
  EXPECT_TRUE(find(index, page_of(7777), 1'000'000));
}

TEST(ImageIndex, ABlockThatCantBeReadIsPassedOver) {
  FakeBlocks blocks(numbers(1, 64));
  blocks.unreadable = {0, 5, 6, 63};
  ImageIndex index(blocks);
  read_all(index);
  for (std::uint64_t block = 0; block < 64; ++block) {
    EXPECT_EQ(find(index, page_of(block + 1)).has_value(), !blocks.unreadable.contains(block)) << block;
  }
}

TEST(ImageIndex, AfterAnErrorItGoesOnWhereItWas) {
  FakeBlocks blocks(numbers(1, 64));
  ImageIndex index(blocks);
  ASSERT_TRUE(index.advance(20));
  blocks.failing = true;
  EXPECT_EQ(index.advance(20).error().code, Errc::io);
  EXPECT_FALSE(find(index, page_of(1))) << "no answer without a comparison";
  blocks.failing = false;
  read_all(index);
  for (std::uint64_t block = 0; block < 64; ++block) EXPECT_EQ(find(index, page_of(block + 1)), block);
}

}  // namespace
}  // namespace godwit::content
