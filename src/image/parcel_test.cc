#include "image/parcel.h"

#include "image/pieces_in_memory.h"

#include <gtest/gtest.h>

#include <map>

namespace godwit::image {
namespace {

constexpr std::size_t kPieces = 5;

class BlocksOfOthers {
 public:
  void add(ByteView block) { add_as(tag_of(block), block); }
  void add_as(const BlockTag& tag, ByteView block) { blocks_[tag] = ByteVector(block.begin(), block.end()); }
  [[nodiscard]] bool has(const BlockTag& tag) const { return blocks_.contains(tag); }
  bool operator()(const BlockTag& tag, ByteSpan into) const {
    const auto found = blocks_.find(tag);
    if (found == blocks_.end()) return false;
    std::ranges::copy(found->second, into.begin());
    return true;
  }

 private:
  std::map<BlockTag, ByteVector> blocks_;
};

// As a sender says a piece to a receiver that has some of its blocks.
ParcelPiece said(const PiecesInMemory& image, std::uint64_t piece, const BlocksOfOthers& known) {
  ParcelPiece out{piece, 0, {}};
  for (std::size_t block = 0; block < kPiece_blocks; ++block) {
    out.tags[block] = tag_of(image.block(piece * kPiece_blocks + block));
    if (!known.has(out.tags[block])) out.sent = static_cast<std::uint16_t>(out.sent | 1U << block);
  }
  return out;
}

class ParcelTest : public testing::Test {
 protected:
  PiecesInMemory image{drawn_bytes(kPieces * kPiece_bytes, 1)};
  PiecesInMemory other = PiecesInMemory::empty_like(image);
  BlocksOfOthers known;

  std::vector<ParcelPiece> all() {
    std::vector<ParcelPiece> out;
    for (std::uint64_t piece = 0; piece < kPieces; ++piece) out.push_back(said(image, piece, known));
    return out;
  }
};

TEST_F(ParcelTest, PiecesArriveAsTheyWere) {
  const auto parcel = make_parcel(image, all());
  ASSERT_TRUE(parcel);
  EXPECT_EQ(parcel->pieces, kPieces);
  const auto taken = take_parcel(parcel->bytes, other, known);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(taken->pieces, kPieces);
  EXPECT_TRUE(other.bytes() == image.bytes());
}

TEST_F(ParcelTest, BlocksThatTheReceiverHasDontTravel) {
  for (std::uint64_t number = 0; number < kPieces * kPiece_blocks; ++number) {
    if (number % 4 != 0) known.add(image.block(number));
  }
  const auto parcel = make_parcel(image, all());
  ASSERT_TRUE(parcel);
  EXPECT_LT(parcel->bytes.size(), kPieces * kPiece_bytes / 4 + 2048);
  ASSERT_TRUE(take_parcel(parcel->bytes, other, known));
  EXPECT_TRUE(other.bytes() == image.bytes());
}

TEST_F(ParcelTest, WhatCompressesIsCompressed) {
  const PiecesInMemory text{ByteVector(kPieces * kPiece_bytes, std::byte{'x'})};
  auto source = text;
  auto into = PiecesInMemory::empty_like(text);
  const auto parcel = make_parcel(source, std::vector{said(text, 0, known), said(text, 1, known)});
  ASSERT_TRUE(parcel);
  EXPECT_LT(parcel->bytes.size(), 1024U);
  ASSERT_TRUE(take_parcel(parcel->bytes, into, known));
  EXPECT_TRUE(into.has(0) && into.has(1) && !into.has(2));
}

TEST_F(ParcelTest, APieceWithABlockThatWasForgottenIsRefusedAndTheOthersAreTaken) {
  for (std::uint64_t number = 0; number < kPiece_blocks; ++number) known.add(image.block(number));
  const auto parcel = make_parcel(image, all());
  ASSERT_TRUE(parcel);
  const BlocksOfOthers forgot;
  const auto taken = take_parcel(parcel->bytes, other, forgot);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->refused, std::vector<std::uint64_t>{0});
  EXPECT_EQ(taken->pieces, kPieces - 1);
  EXPECT_FALSE(other.has(0));
}

TEST_F(ParcelTest, ABlockOfTheSameTagButOtherContentDoesNoHarm) {
  known.add_as(tag_of(image.block(3)), image.block(4));
  const auto parcel = make_parcel(image, all());
  ASSERT_TRUE(parcel);
  const auto taken = take_parcel(parcel->bytes, other, known);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->refused, std::vector<std::uint64_t>{0});
  EXPECT_FALSE(other.has(0));
}

TEST_F(ParcelTest, WhatWouldBeTooLongIsLeftForTheNext) {
  PiecesInMemory large{drawn_bytes(100 * kPiece_bytes, 2)};
  std::vector<ParcelPiece> pieces;
  for (std::uint64_t piece = 0; piece < 100; ++piece) pieces.push_back({piece});
  const auto parcel = make_parcel(large, pieces);
  ASSERT_TRUE(parcel);
  EXPECT_LE(parcel->bytes.size(), kParcelLimit_bytes);
  EXPECT_GT(parcel->pieces, 50U);
}

TEST_F(ParcelTest, WhatIsCutOffOrAlteredIsNoParcelOrChangesNothing) {
  const auto parcel = make_parcel(image, all());
  ASSERT_TRUE(parcel);
  for (const std::size_t size : {0UL, 3UL, 8UL, 40UL, parcel->bytes.size() - 1}) {
    EXPECT_FALSE(take_parcel(ByteView(parcel->bytes).first(size), other, known)) << size;
  }
  for (std::size_t at = 0; at < parcel->bytes.size(); at += 1009) {
    auto altered = parcel->bytes;
    altered[at] ^= std::byte{0x10};
    auto into = PiecesInMemory::empty_like(image);
    (void)take_parcel(altered, into, known);
    for (std::uint64_t piece = 0; piece < kPieces; ++piece) {
      if (!into.has(piece)) continue;
      const auto from = static_cast<std::ptrdiff_t>(piece * kPiece_bytes);
      EXPECT_TRUE(std::equal(into.bytes().begin() + from, into.bytes().begin() + from + kPiece_bytes,
                             image.bytes().begin() + from));
    }
  }
}

TEST_F(ParcelTest, APieceThatTheImageDoesntHaveIsAnError) {
  PiecesInMemory longer{drawn_bytes((kPieces + 1) * kPiece_bytes, 3)};
  const auto parcel = make_parcel(longer, std::vector<ParcelPiece>{{kPieces}});
  ASSERT_TRUE(parcel);
  const auto taken = take_parcel(parcel->bytes, other, known);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::protocol);
}

// ---- against a prefix

// Both have an image that is this one, but for a byte in each block, and moved by 100.
class ParcelPrefixTest : public ParcelTest {
 protected:
  ByteVector old = ByteVector(100);
  const ImageId id = std::string(64, 'b');
  ReadPrefix there = [this](const ImageId& named, std::uint64_t number, ByteSpan into) {
    if (named != id || (number + 1) * kPage_bytes > old.size()) return false;
    std::ranges::copy(ByteView(old).subspan(number * kPage_bytes, kPage_bytes), into.begin());
    return true;
  };

  void SetUp() override {
    append(old, image.bytes());
    for (std::size_t at = 2000; at < old.size(); at += kPage_bytes) old[at] ^= std::byte{1};
  }
  Result<Parcel> make() {
    return make_parcel(image, all(), kParcelLevel, [this](ByteView blocks) {
      EXPECT_EQ(blocks.size(), image.bytes().size());
      ParcelPrefix out{{id}, {{1, 0, 60}, {1, 60, 20}}, {}};
      EXPECT_TRUE(read_prefix(out, there));
      return out;
    });
  }
  void expect_nothing_of(ByteView parcel, const ReadPrefix& read) {
    const auto taken = take_parcel(parcel, other, known, read);
    ASSERT_TRUE(taken);
    EXPECT_TRUE(taken->lacks_prefix && taken->pieces == 0 && taken->refused.empty());
    EXPECT_FALSE(other.has(0));
  }
};

TEST_F(ParcelPrefixTest, WhatIsLikeWhatBothHaveTravelsAsTheDifference) {
  const auto parcel = make();
  ASSERT_TRUE(parcel);
  EXPECT_LT(parcel->bytes.size(), 2000U);
  const auto taken = take_parcel(parcel->bytes, other, known, there);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(taken->pieces, kPieces);
  EXPECT_FALSE(taken->lacks_prefix);
  EXPECT_TRUE(other.bytes() == image.bytes());
}

// docs/formats/parcel.md has them.
TEST_F(ParcelPrefixTest, GoldenBytes) {
  const auto parcel = make();
  ASSERT_TRUE(parcel);
  EXPECT_EQ(to_hex(ByteView(parcel->bytes).first(57)),
            "4757500200000005"
            "010002" +
                id +
                "0100000000003c"
                "010000003c0014");
  EXPECT_EQ(to_hex(ByteView(parcel->bytes).subspan(57, 4)), "28b52ffd") << "zstd's";
  ByteVector one;
  append_prefix(one, {{}, {{0, 0x01020304, 5}}, {}});
  EXPECT_EQ(to_hex(one),
            "000001"
            "00010203040005");
}

TEST_F(ParcelPrefixTest, WhoLacksAnyOfItSaysSoAndTakesNothing) {
  const auto parcel = make();
  ASSERT_TRUE(parcel);
  expect_nothing_of(parcel->bytes, [&](const ImageId& named, std::uint64_t number, ByteSpan into) {
    return number != 79 && there(named, number, into);
  });
}

TEST_F(ParcelPrefixTest, WhoHasSomethingElseThereSaysSoAndTakesNothing) {
  const auto parcel = make();
  ASSERT_TRUE(parcel);
  old[40 * kPage_bytes] ^= std::byte{1};
  expect_nothing_of(parcel->bytes, there);
}

TEST_F(ParcelPrefixTest, WhereNoneIsTakenItIsAnError) {
  const auto parcel = make();
  ASSERT_TRUE(parcel);
  EXPECT_EQ(take_parcel(parcel->bytes, other, known).error().code, Errc::protocol);
}

TEST_F(ParcelPrefixTest, WhatNamesMoreThanItMayIsNone) {
  const auto parcel = make();
  ASSERT_TRUE(parcel);
  constexpr std::size_t kFirstRun = 8 + 3 + 32;
  const std::vector<std::pair<std::size_t, std::byte>> changes{
      {8, std::byte{kPrefixImages + 1}},      // images
      {8, std::byte{0}},                      // none, and runs name one
      {9, std::byte{0x10}},                   // runs
      {10, std::byte{0}},                     // none
      {kFirstRun, std::byte{2}},              // an image that isn't named
      {kFirstRun + 5, std::byte{0x10}},       // blocks
      {kFirstRun + 6, std::byte{0}},          // none
      {kFirstRun + 7 + 5, std::byte{0x04}}};  // all of them together
  for (const auto& [at, to] : changes) {
    auto altered = parcel->bytes;
    altered[at] = to;
    const auto taken = take_parcel(altered, other, known, there);
    ASSERT_FALSE(taken) << at;
    EXPECT_EQ(taken.error().code, Errc::protocol);
  }
  for (std::size_t size = 8; size < kFirstRun + 14; ++size) {
    EXPECT_FALSE(take_parcel(ByteView(parcel->bytes).first(size), other, known, there)) << size;
  }
}

}  // namespace
}  // namespace godwit::image
