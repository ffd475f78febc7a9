#include "content/joined_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace godwit::content {
namespace {

// `size` blocks that hold the same byte; the first one is a hole.
class Filled final : public Blocks {
 public:
  Filled(std::uint64_t size, int byte) : size_(size), byte_(byte) {}
  std::uint64_t count() const override { return size_; }
  Result<> read(std::uint64_t block, ByteSpan into) const override {
    if (block >= size_) return fail(Errc::invalid_argument, "none");
    std::ranges::fill(into, static_cast<std::byte>(byte_ + static_cast<int>(block)));
    return {};
  }
  bool is_hole(std::uint64_t block) const override { return block == 0; }

 private:
  std::uint64_t size_;
  int byte_;
};

TEST(JoinedBlocks, GoOnWhereOnePartEnds) {
  std::vector<std::unique_ptr<Blocks>> parts;
  parts.push_back(std::make_unique<Filled>(2, 10));
  parts.push_back(std::make_unique<Filled>(0, 50));
  parts.push_back(std::make_unique<Filled>(3, 20));
  const JoinedBlocks joined(std::move(parts));
  ASSERT_EQ(joined.count(), 5);
  std::array<std::byte, kPage_bytes> page{};
  const std::array<int, 5> expected{10, 11, 20, 21, 22};
  for (std::uint64_t block = 0; block < 5; ++block) {
    ASSERT_TRUE(joined.read(block, page));
    EXPECT_EQ(std::to_integer<int>(page.front()), expected.at(block));
    EXPECT_EQ(joined.is_hole(block), block == 0 || block == 2);
  }
  EXPECT_EQ(joined.read(5, page).error().code, Errc::invalid_argument);
  EXPECT_TRUE(joined.is_hole(5));
}

}  // namespace
}  // namespace godwit::content
