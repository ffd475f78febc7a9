#include "image/piece_press.h"

#include "image/chain_messages.h"
#include "support/virtual_time.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <random>

namespace godwit::image {
namespace {

// Its clock stands still while something is done.
class PressTest : public ::testing::Test {
 public:
  [[nodiscard]] ByteVector random_piece() {
    ByteVector piece(kPiece_bytes);
    for (auto& byte : piece) byte = static_cast<std::byte>(draw_());
    return piece;
  }
  // Words of a few, as a program has.
  [[nodiscard]] ByteVector piece() {
    ByteVector out(kPiece_bytes);
    for (std::size_t at = 0; at < out.size(); at += 4) {
      store_be32(ByteSpan(out).subspan(at), 0x48890000U | static_cast<std::uint32_t>(draw_() % 500));
    }
    return out;
  }
  [[nodiscard]] static ByteVector frame(ByteView content, int level = 3) {
    ByteVector out(ZSTD_compressBound(content.size()));
    out.resize(ZSTD_compress(out.data(), out.size(), content.data(), content.size(), level));
    return out;
  }
  [[nodiscard]] bool refuses(ByteView packed) {
    const auto piece = press.expand(packed);
    if (piece) return false;
    EXPECT_EQ(piece.error().code, Errc::protocol) << piece.error().message;
    return true;
  }

  std::mt19937 draw_{1};
  godwit::testing::VirtualTime clock;
  PiecePress press{clock};
};

TEST_F(PressTest, WhatComesOutIsWhatWentIn) {
  for (int i = 0; i < 20; ++i) {
    const auto before = piece();
    const auto packed = press.press(before);
    ASSERT_FALSE(packed.empty());
    EXPECT_LT(packed.size(), kPiece_bytes / 2);
    const ByteVector sent(packed.begin(), packed.end());
    const auto after = press.expand(sent);
    ASSERT_TRUE(after.has_value()) << after.error().message;
    EXPECT_TRUE(std::ranges::equal(*after, before));
  }
}

TEST_F(PressTest, WhatDoesNotGetSmallerGoesAsItIs) {
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(press.press(random_piece()).empty()) << i;
  EXPECT_FALSE(press.press(piece()).empty()) << "each piece is looked at by itself";
}

TEST_F(PressTest, WhatOnlyLooksLikeThatIsFoundOut) {
  auto twice = random_piece();  // equally frequent bytes, but half of it is the other half
  std::copy_n(twice.begin(), kPiece_bytes / 2, twice.begin() + kPiece_bytes / 2);
  int packed = 0;
  for (int i = 0; i < 200; ++i) packed += press.press(twice).empty() ? 0 : 1;
  EXPECT_GT(packed, 130);
  EXPECT_TRUE(press.press(random_piece()).empty());
}

TEST_F(PressTest, WhatIsNoPieceIsRefused) {
  const auto good = frame(piece());
  ASSERT_FALSE(refuses(good));
  for (const std::size_t size : {0UL, 1UL, 5UL, 100UL, good.size() - 1}) {
    EXPECT_TRUE(refuses(ByteView(good).first(size))) << size;
  }
  auto more = good;
  append(more, good);
  EXPECT_TRUE(refuses(more)) << "two frames";
  EXPECT_TRUE(refuses(frame(ByteVector(kPiece_bytes - 1)))) << "too short";
  EXPECT_TRUE(refuses(frame(ByteVector(kPiece_bytes + 1)))) << "too long";
  EXPECT_TRUE(refuses(frame(ByteVector(64UL << 20U)))) << "very much of it";
  EXPECT_TRUE(refuses(ByteVector(1000, std::byte{0x5a})));
  ASSERT_FALSE(refuses(good)) << "nothing is left of what was wrong";
}

// A byte changed anywhere: refused, or another piece, which its digest tells.
TEST_F(PressTest, WhatWasAlteredIsRefusedOrAnotherPiece) {
  const auto before = piece();
  const auto good = frame(before);
  for (std::size_t at = 0; at < good.size(); at += 37) {
    auto bad = good;
    bad[at] ^= std::byte{0x10};
    const auto after = press.expand(bad);
    if (after) {
      EXPECT_EQ(after->size(), kPiece_bytes);
    }
  }
  EXPECT_FALSE(refuses(good));
}

}  // namespace
}  // namespace godwit::image
