// A part of a piece list, packed and opened.
#include "image/list_part.h"

#include "support/hollow_image.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::image {
namespace {

TEST(ListPart, OfAnImageThatIsMostlyZerosNextToNothingTravels) {
  const testing::HollowImage image(2 * kListPartPieces + 1, 1'000);
  std::uint64_t packed = 0;
  ByteVector all;
  for (std::uint64_t first = 0; first < image.count(); first += kListPartPieces) {
    const auto part = make_list_part(image, first);
    ASSERT_TRUE(part);
    packed += part->size();
    const auto opened = open_list_part(as_bytes(*part));
    ASSERT_TRUE(opened);
    append(all, *opened);
  }
  EXPECT_TRUE(std::ranges::equal(all, image.list()));
  EXPECT_LT(packed, image.list().size() / 100);
  EXPECT_FALSE(make_list_part(image, image.count()));
  EXPECT_FALSE(make_list_part(image, ~std::uint64_t{0}));
}

TEST(ListPart, OneOfDigestsAloneIsHardlyLonger) {
  const testing::HollowImage image(2'000, 1);
  EXPECT_LT(make_list_part(image, 0)->size(), image.list().size() + 200);
}

TEST(ListPart, WhatIsNoneIsRefusedAndTakesNoMemory) {
  EXPECT_FALSE(open_list_part({}));
  EXPECT_FALSE(open_list_part(ByteVector(64)));
  const testing::HollowImage image(100, 2);
  const auto part = *make_list_part(image, 0);
  for (std::size_t cut = 0; cut < part.size(); ++cut) EXPECT_FALSE(open_list_part(as_bytes(part).first(cut))) << cut;
  EXPECT_FALSE(open_list_part(as_bytes(part + "x")));
  // A frame of zeros that says 2^60 bytes: magic, one segment with 8 bytes of size, an empty last block.
  const ByteVector bomb = from_hex("28b52ffde00000000000000010010000").value();
  EXPECT_FALSE(open_list_part(bomb));
}

}  // namespace
}  // namespace godwit::image
