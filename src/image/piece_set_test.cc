#include "image/piece_set.h"

#include <gtest/gtest.h>

namespace godwit::image {
namespace {

TEST(PieceSet, CountsEachPieceOnce) {
  PieceSet set(130);
  set.add(0);
  set.add(129);
  set.add(129);
  EXPECT_EQ(set.count(), 2U);
  EXPECT_TRUE(set.contains(129));
  EXPECT_FALSE(set.contains(130)) << "beyond its size";
  set.remove(129);
  set.remove(5);
  EXPECT_EQ(set.count(), 1U);
}

TEST(PieceSet, TravelsAsBits) {
  PieceSet set(70);
  for (const auto each : {0U, 9U, 63U, 64U, 69U}) set.add(each);
  PieceSet copy(70);
  copy.add_bits(0, set.bits(0, 4));
  copy.add_bits(32, set.bits(32, 5));
  EXPECT_EQ(copy.count(), 5U);
  for (std::uint64_t each = 0; each < 70; ++each) EXPECT_EQ(copy.contains(each), set.contains(each)) << each;
  EXPECT_EQ(to_hex(set.bits(0, 2)), "0102");
}

TEST(PieceSet, LooksAtNothingBeyondItsSize) {
  PieceSet set(13);
  const ByteVector all(100, std::byte{0xff});
  set.add_bits(8, all);
  EXPECT_EQ(set.count(), 5U);
  set.add_bits(1ULL << 40U, all);
  set.add_bits(0, all);
  EXPECT_TRUE(set.full());
}

TEST(PieceSet, FindsWhatAnotherLacksFromAPlaceOn) {
  PieceSet mine(200);
  PieceSet theirs(200);
  EXPECT_EQ(mine.first_beyond(theirs, 0), std::nullopt);
  for (const auto each : {3U, 70U, 199U}) mine.add(each);
  theirs.add(70);
  EXPECT_EQ(mine.first_beyond(theirs, 0), 3U);
  EXPECT_EQ(mine.first_beyond(theirs, 4), 199U);
  EXPECT_EQ(mine.first_beyond(theirs, 200), 3U) << "and around";
  EXPECT_EQ(mine.last_beyond(theirs, 0), 199U);
  EXPECT_EQ(mine.last_beyond(theirs, 199), 3U);
  EXPECT_EQ(mine.last_beyond(theirs, 3), 199U) << "and around";
  theirs.add(3);
  theirs.add(199);
  EXPECT_EQ(mine.first_beyond(theirs, 100), std::nullopt);
  EXPECT_EQ(mine.last_beyond(theirs, 100), std::nullopt);
}

}  // namespace
}  // namespace godwit::image
