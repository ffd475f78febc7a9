#include "image/boot_order.h"

#include "image/boot_pieces.h"
#include "image/pieces_in_memory.h"

#include <gmock/gmock.h>

#include <numeric>

namespace godwit::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Pieces32 = std::vector<std::uint32_t>;

// Of so many pieces, none of zeros; nothing is here.
struct Arriving {
  explicit Arriving(std::size_t count) : whole(content(count)), here(PiecesInMemory::empty_like(whole)) {}
  static ByteVector content(std::size_t count) {
    ByteVector bytes(count * kPiece_bytes);
    for (std::size_t i = 0; i < count; ++i) bytes[i * kPiece_bytes] = static_cast<std::byte>(i + 1);
    return bytes;
  }
  void put(std::uint32_t piece) {
    ByteVector bytes(kPiece_bytes);
    ASSERT_TRUE(whole.read(piece, bytes));
    ASSERT_TRUE(here.put(piece, bytes));
  }
  PiecesInMemory whole;
  PiecesInMemory here;
};

TEST(BootOrder, IsSaidAsRangesInOrderAndReadAsItWasSaid) {
  const Pieces32 order{7, 8, 9, 3, 4, 2, 100};
  const auto ranges = pack_boot_order(order);
  EXPECT_THAT(ranges, ElementsAre(7, 3, 3, 2, 2, 1, 100, 1));
  EXPECT_EQ(unpack_boot_order(ranges, 101).value(), order);
  EXPECT_THAT(pack_boot_order({}), IsEmpty());
  EXPECT_THAT(unpack_boot_order({}, 10).value(), IsEmpty());
}

TEST(BootOrder, IsBoundedWhoeverSaysIt) {
  Pieces32 long_one(kBootOrderSaid + 10);
  std::iota(long_one.begin(), long_one.end(), 5U);
  const auto ranges = pack_boot_order(long_one);
  EXPECT_THAT(ranges, ElementsAre(5, kBootOrderSaid));
  const auto refused = [](const Pieces32& said) {
    const auto read = unpack_boot_order(said, 1'000'000);
    return !read && read.error().code == Errc::invalid_argument;
  };
  EXPECT_TRUE(refused({1}));
  EXPECT_TRUE(refused({1, 0}));
  EXPECT_TRUE(refused({0, kBootOrderSaid, 9, 1}));
  EXPECT_TRUE(refused({1'000'000, 1}));
  EXPECT_TRUE(refused({999'999, 2}));
  EXPECT_TRUE(refused({0xFFFFFFFF, 0xFFFFFFFF}));
  EXPECT_FALSE(refused({999'999, 1}));
}

TEST(Prefetch, AsksForAFewOfTheOrderAtATimeAsTheyCome) {
  Arriving image(40);
  Pieces32 order(40);
  std::iota(order.rbegin(), order.rend(), 0U);  // backwards
  Prefetch prefetch(order);
  EXPECT_EQ(prefetch.next(image.here), Pieces32(order.begin(), order.begin() + kPrefetch_pieces));
  EXPECT_THAT(prefetch.next(image.here), IsEmpty()) << "they are asked for";
  image.put(39);
  EXPECT_THAT(prefetch.next(image.here), ElementsAre(39 - kPrefetch_pieces));
  image.put(20);  // not asked for: the fill has brought it
  EXPECT_THAT(prefetch.next(image.here), IsEmpty());
  prefetch.again();
  const auto all = prefetch.next(image.here);
  EXPECT_EQ(all.size(), kPrefetch_pieces);
  EXPECT_EQ(all.front(), 38U);
  for (std::uint32_t piece = 0; piece < 40; ++piece) {
    if (!image.here.has(piece)) image.put(piece);
  }
  prefetch.again();
  EXPECT_THAT(prefetch.next(image.here), IsEmpty());
}

TEST(BootPieces, AreWhereTheDiskBeginsAndAllOfKernelAndInitrd) {
  Manifest manifest;
  manifest.files = {{Role::disk, 10 * kPiece_bytes, ""}, {Role::kernel, kPiece_bytes + 1, ""}, {Role::initrd, 5, ""}};
  EXPECT_THAT(boot_pieces(manifest), ElementsAre(0, 10, 11, 12));
  Arriving image(13);
  for (const std::uint32_t piece : {0U, 10U, 11U}) image.put(piece);
  EXPECT_FALSE(may_begin(manifest, image.here));
  image.put(12);
  EXPECT_TRUE(may_begin(manifest, image.here));
  manifest.files = {{Role::disk, 512, ""}};
  EXPECT_THAT(boot_pieces(manifest), ElementsAre(0));
}

}  // namespace
}  // namespace godwit::image
