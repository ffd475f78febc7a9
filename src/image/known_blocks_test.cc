#include "image/known_blocks.h"

#include "support/image_host.h"

namespace godwit::image {
namespace {

using testing::ImageHost;
using testing::sample_image;
using testing::SampleImage;

// The disk of `image` moved on by a block, with a block of its own in between: no piece of them is equal.
SampleImage sibling_of(const SampleImage& image) {
  const auto& old = image.file(Role::disk);
  std::mt19937_64 random(99);
  ByteVector disk(kPage_bytes);
  testing::draw(random, disk);
  append(disk, old);
  return testing::image_of({{Role::disk, std::move(disk)}});
}

ByteVector blocks_of(const SampleImage& image, std::uint64_t piece) {
  PieceDigester digester;
  ByteVector blocks(kPieceBlocks_bytes);
  (void)digester.digest(image.pieces[piece], blocks);
  return blocks;
}

struct Filled {
  std::uint64_t known{0};
  std::uint64_t missing{0};
};

// As a transfer does: what is known is taken from here, the rest "comes".
Filled fill(ImageHost& host, const SampleImage& image, KnownBlocks& known) {
  Filled filled;
  const auto lease = host.images().begin(image.text, {}, "a transfer");
  EXPECT_TRUE(lease && (*lease)->set_list(image.list));
  for (std::uint64_t piece = 0; piece < image.pieces.size(); ++piece) {
    if ((*lease)->has(piece)) continue;
    auto assembled = known.assemble(**lease, piece, blocks_of(image, piece));
    EXPECT_TRUE(assembled);
    for (std::size_t i = 0; i < kPiece_blocks; ++i) {
      const auto right = ByteView(image.pieces[piece]).subspan(i * kPage_bytes, kPage_bytes);
      const auto found = ByteSpan(assembled->bytes).subspan(i * kPage_bytes, kPage_bytes);
      if ((assembled->missing >> i & 1U) != 0) {
        ++filled.missing;
        std::ranges::copy(right, found.begin());
      } else if (assembled->known[i].image) {
        ++filled.known;
      }
    }
    EXPECT_TRUE((*lease)->put(piece, assembled->bytes, assembled->known));
  }
  return filled;
}

TEST(KnownBlocksTest, BlocksOfAnotherImageNeedNotComeWhereverTheyLie) {
  ImageHost host;
  const auto image = sample_image(1, 30);
  const auto sibling = sibling_of(image);
  ASSERT_TRUE(host.receive(image));
  KnownBlocks known(host.images(), sibling.id);
  while (known.advance(7)) {
  }
  const auto filled = fill(host, sibling, known);
  EXPECT_EQ(filled.missing, 1U) << "the one block that is its own";
  EXPECT_GT(filled.known, 250U);
  EXPECT_TRUE(host.images().find(sibling.id)->complete());
  testing::expect_true_to(host, sibling);
}

TEST(KnownBlocksTest, WhereTheFileSystemSharesEqualBlocksAreThereOnce) {
  ImageHost host;
  host.page_files().share_content(true);
  const auto image = sample_image(1, 30);
  const auto sibling = sibling_of(image);
  ASSERT_TRUE(host.receive(image));
  KnownBlocks known(host.images(), sibling.id);
  while (known.advance(100)) {
  }
  const auto before = host.page_files().shared_bytes();
  const auto filled = fill(host, sibling, known);
  EXPECT_EQ(host.page_files().shared_bytes() - before, filled.known * kPage_bytes);
  testing::expect_true_to(host, sibling);
}

TEST(KnownBlocksTest, ABlockThatTheDiskAlteredIsNotTaken) {
  ImageHost host;
  const auto image = sample_image(1, 30);
  const auto sibling = sibling_of(image);
  ASSERT_TRUE(host.receive(image));
  KnownBlocks known(host.images(), sibling.id);
  while (known.advance(100)) {
  }
  host.page_files().flip(fmt::format("{}/{}/disk", testing::kImages, image.id), 5 * kPage_bytes);
  const auto filled = fill(host, sibling, known);
  EXPECT_EQ(filled.missing, 2U);
  testing::expect_true_to(host, sibling);
}

TEST(KnownBlocksTest, BlocksThatAreAnotherPiecesAreNotBelieved) {
  ImageHost host;
  const auto image = sample_image(1);
  const auto lease = host.images().begin(image.text, {}, "a transfer");
  ASSERT_TRUE(lease && (*lease)->set_list(image.list));
  KnownBlocks known(host.images(), image.id);
  EXPECT_FALSE(known.advance(1)) << "there is no other image";
  EXPECT_EQ(known.assemble(**lease, 0, blocks_of(image, 3)).error().code, Errc::not_authentic);
  EXPECT_EQ(known.assemble(**lease, 0, ByteVector(7)).error().code, Errc::not_authentic);
}

TEST(KnownBlocksTest, ItsMemoryIsBounded) {
  ImageHost host;
  const auto image = sample_image(1, 1200);
  ASSERT_TRUE(host.receive(image));
  KnownBlocks known(host.images(), ImageId(64, '0'), 128UL << 10U);
  while (known.advance(1000)) {
  }
  EXPECT_LE(known.bytes(), 128UL << 10U);
  EXPECT_GT(known.blocks(), 10'000U);
}

TEST(KnownBlocksTest, ImagesThatItReadsAreNotRemovedMeanwhile) {
  ImageHost host;
  const auto image = sample_image(1);
  ASSERT_TRUE(host.receive(image));
  {
    KnownBlocks known(host.images(), ImageId(64, '0'));
    EXPECT_EQ(host.images().remove(image.id).error().code, Errc::conflict);
  }
  EXPECT_TRUE(host.images().remove(image.id));
}

}  // namespace
}  // namespace godwit::image
