// A list that comes in parts.
#include "image/incoming_list.h"

#include "support/sample_image.h"

#include <gtest/gtest.h>

namespace godwit::image {
namespace {

using testing::sample_image;

ByteView digests_of(ByteView list, std::uint64_t first, std::uint64_t count) {
  return list.subspan(first * kDigest_bytes, count * kDigest_bytes);
}

TEST(IncomingListTest, IsWholeWithItsLastPartHoweverItWasCut) {
  const auto image = sample_image(1, 40);
  const auto all = image.list.size() / kDigest_bytes;
  for (std::uint64_t step = 1; step <= all; ++step) {
    IncomingList list(image.manifest);
    for (std::uint64_t first = 0; first < all; first += step) {
      EXPECT_FALSE(list.complete());
      ASSERT_TRUE(list.add(first, digests_of(image.list, first, std::min(step, all - first))));
    }
    EXPECT_TRUE(list.complete());
    EXPECT_TRUE(std::ranges::equal(list.bytes(), image.list));
  }
}

TEST(IncomingListTest, APartThatComesTwiceOrTooEarlyChangesNothing) {
  const auto image = sample_image(1, 40);
  IncomingList list(image.manifest);
  const auto early = list.add(1, digests_of(image.list, 1, 3));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, Errc::conflict);
  ASSERT_TRUE(list.add(0, digests_of(image.list, 0, 8)));
  ASSERT_TRUE(list.add(0, digests_of(image.list, 0, 8)));
  ASSERT_TRUE(list.add(5, digests_of(image.list, 5, 10)));
  EXPECT_EQ(list.count(), 15U);
}

// The disk's digests are checked before those of kernel and initrd are there.
TEST(IncomingListTest, AFalseOneIsFoundWithItsFile) {
  const auto image = sample_image(1, 40);
  auto false_list = image.list;
  false_list[3] ^= std::byte{1};
  IncomingList list(image.manifest);
  ASSERT_TRUE(list.add(0, digests_of(false_list, 0, 39)));
  const auto last = list.add(39, digests_of(false_list, 39, 1));
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, Errc::not_authentic);
}

TEST(IncomingListTest, WhatIsNoPartOfAListIsRefused) {
  const auto image = sample_image(1);
  IncomingList list(image.manifest);
  EXPECT_FALSE(list.add(0, {}));
  EXPECT_FALSE(list.add(0, ByteView(image.list).first(31)));
  ByteVector longer = image.list;
  append(longer, digests_of(image.list, 0, 1));
  EXPECT_FALSE(list.add(0, longer));
  EXPECT_EQ(list.count(), 0U);
  EXPECT_TRUE(list.add(0, image.list) && list.complete()) << "nothing of it was taken";
  EXPECT_FALSE(IncomingList(image.manifest).add(0, ByteVector((kListPartPieces + 1) * kDigest_bytes)));
}

}  // namespace
}  // namespace godwit::image
