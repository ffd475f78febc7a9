#include "image/chain_parts.h"

#include <gtest/gtest.h>

namespace godwit::image::chain {
namespace {

constexpr std::uint64_t kGib_pieces = (1ULL << 30U) / kPiece_bytes;

// Blocks that differ.
std::shared_ptr<Frame> drawn_frame() {
  auto frame = std::make_shared<Frame>();
  for (std::size_t at = 0; at < kPiece_bytes; ++at)
    frame->content()[at] = static_cast<std::byte>(at / 7 + at / kPage_bytes);
  return frame;
}

class ChainParts : public ::testing::Test {
 public:
  void come(PartialPiece& piece, std::size_t first, std::size_t count) {
    const auto space = piece.space(count * kPage_bytes);
    ASSERT_EQ(space.size(), count * kPage_bytes);
    std::ranges::copy(whole.content(first, count), space.begin());
  }

  crypto::BlockDigests digester{crypto::BlockDigests::fastest()};
  PartialPiece whole{digester, 5, drawn_frame()};
};

TEST_F(ChainParts, AreShorterTheMoreHostsThereAreForAnImage) {
  EXPECT_EQ(run_blocks(8, 500), 0U) << "few hosts";
  EXPECT_EQ(run_blocks(63, 500), 0U);
  EXPECT_EQ(run_blocks(200, kGib_pieces), 0U) << "the parts would cost more than they bring";
  EXPECT_EQ(run_blocks(300, kGib_pieces), 7U);
  EXPECT_EQ(run_blocks(1000, kGib_pieces), 4U);
  EXPECT_EQ(run_blocks(10'000, kGib_pieces), 1U);
  EXPECT_EQ(run_blocks(10'000, 10 * kGib_pieces), 4U);
  EXPECT_EQ(run_blocks(16'384, kPiecesLimit), 0U);
  EXPECT_EQ(run_blocks(64, 0), 1U);
  EXPECT_EQ(list_digests(0), kListDigests);
  EXPECT_EQ(list_digests(1), 128U);
  EXPECT_LE(list_digests(kLongestRun), kListDigests);
}

TEST_F(ChainParts, AreTheseBytes) {
  const auto blocks = pack(whole.blocks());
  EXPECT_EQ(to_hex(ByteView(blocks).first(16)), "000002080e0000000000000000000005");
  EXPECT_EQ(blocks.size(), 16 + 16 * 32U);
  const auto run = pack_run(whole.content(1, 2));
  EXPECT_EQ(to_hex(ByteView(run).first(8)), "000020000f000000");
  EXPECT_TRUE(std::ranges::equal(ByteView(run).subspan(8), whole.content(1, 2)));
  const auto read = parse_blocks(ByteView(blocks).subspan(kHead_bytes));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->number, 5U);
  EXPECT_TRUE(std::ranges::equal(read->digests, whole.blocks().digests));
}

TEST_F(ChainParts, WhatIsNoPiecesDigestsIsRefused) {
  const auto blocks = pack(Blocks{kPiecesLimit, whole.blocks().digests});
  const auto body = ByteView(blocks).subspan(kHead_bytes);
  EXPECT_FALSE(parse_blocks(body).has_value()) << "a piece that no image has";
  EXPECT_FALSE(parse_blocks(body.first(body.size() - 1)).has_value());
  EXPECT_FALSE(parse_blocks({}).has_value());
}

TEST_F(ChainParts, AreHereAsTheyCome) {
  PartialPiece piece(whole.blocks(), std::make_shared<Frame>());
  EXPECT_EQ(piece.blocks_here(), 0U);
  come(piece, 0, 3);
  ASSERT_TRUE(piece.add(digester, 3 * kPage_bytes).has_value());
  EXPECT_EQ(piece.blocks_here(), 3U);
  come(piece, 3, 13);
  ASSERT_TRUE(piece.add(digester, 13 * kPage_bytes).has_value());
  EXPECT_TRUE(piece.is_whole());
  EXPECT_TRUE(std::ranges::equal(piece.content(0, 16), whole.content(0, 16)));
}

TEST_F(ChainParts, AFalseBlockIsNotTaken) {
  PartialPiece piece(whole.blocks(), std::make_shared<Frame>());
  come(piece, 0, 1);
  ASSERT_TRUE(piece.add(digester, kPage_bytes).has_value());
  come(piece, 3, 2);
  const auto added = piece.add(digester, 2 * kPage_bytes);
  ASSERT_FALSE(added.has_value());
  EXPECT_EQ(added.error().code, Errc::not_authentic);
  EXPECT_EQ(piece.blocks_here(), 1U);
}

TEST_F(ChainParts, ARunHasWholeBlocksAndNoMoreThanAreMissing) {
  PartialPiece piece(whole.blocks(), std::make_shared<Frame>());
  EXPECT_TRUE(piece.space(100).empty());
  EXPECT_TRUE(piece.space(0).empty());
  EXPECT_TRUE(piece.space(kPiece_bytes + kPage_bytes).empty());
  EXPECT_EQ(piece.space(kPiece_bytes).size(), kPiece_bytes);
  EXPECT_TRUE(whole.space(kPage_bytes).empty());
}

}  // namespace
}  // namespace godwit::image::chain
