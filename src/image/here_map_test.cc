#include "image/here_map.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::uint64_t kPieces = 10'000;

ByteVector written(HereMap& map, ByteVector file = ByteVector(HereMap::file_bytes(kPieces))) {
  for (const auto& each : map.take_changed()) {
    std::ranges::copy(each.bytes, file.begin() + static_cast<std::ptrdiff_t>(each.number * HereMap::kSector_bytes));
  }
  return file;
}

HereMap with(const std::vector<std::uint64_t>& pieces) {
  HereMap map(kPieces);
  for (const auto each : pieces) map.set(each, true);
  return map;
}

TEST(HereMapTest, WhatWasSaidIsReadBack) {
  auto map = with({0, 1, 4031, 4032, 9999});
  const auto file = written(map);
  const auto again = HereMap::parse(file, kPieces);
  EXPECT_EQ(again.count(), 5U);
  EXPECT_EQ(again.damaged(), 0U);
  for (std::uint64_t piece = 0; piece < kPieces; ++piece) EXPECT_EQ(again.has(piece), map.has(piece)) << piece;
  EXPECT_FALSE(map.has_changed());
}

TEST(HereMapTest, OnlyWhatChangedIsWritten) {
  auto map = with({5});
  auto file = written(map);
  map.set(9999, true);
  map.set(5, true);
  const auto changed = map.take_changed();
  ASSERT_EQ(changed.size(), 1U);
  EXPECT_EQ(changed[0].number, 3U);
  map.give_back(changed);
  file = written(map, file);
  EXPECT_EQ(HereMap::parse(file, kPieces).count(), 2U);
  map.set(5, false);
  EXPECT_FALSE(HereMap::parse(written(map, file), kPieces).has(5));
}

TEST(HereMapTest, AnAlteredBitCostsItsSectorAndNeverMakesAPiece) {
  auto map = with({7, 5000});
  const auto file = written(map);
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    auto altered = file;
    altered[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto read = HereMap::parse(altered, kPieces);
    EXPECT_EQ(read.damaged(), 1U) << bit;
    EXPECT_LE(read.count(), 2U) << bit;
    for (std::uint64_t piece : {0U, 6U, 8U, 4999U, 9999U}) EXPECT_FALSE(read.has(piece)) << bit;
  }
}

TEST(HereMapTest, AFileThatIsCutOrAnotherImagesSaysNothing) {
  auto map = with({7});
  const auto file = written(map);
  for (std::size_t size = 0; size < file.size(); size += 100) {
    EXPECT_EQ(HereMap::parse(ByteView(file).first(size), kPieces).count(), 0U) << size;
  }
  EXPECT_EQ(HereMap::parse(file, kPieces - 1).count(), 0U);
  // A sector in another's place.
  auto moved = file;
  std::copy_n(file.begin() + 512, 512, moved.begin() + 1024);
  EXPECT_EQ(HereMap::parse(moved, kPieces).count(), 1U);
}

TEST(HereMapTest, BitsBehindTheLastPieceAreNoPieces) {
  HereMap larger(kPieces + 1);
  larger.set(kPieces, true);
  ByteVector file = written(larger, ByteVector(HereMap::file_bytes(kPieces + 1)));
  HereMap right(kPieces);
  const auto head = written(right);
  std::copy_n(head.begin(), HereMap::kSector_bytes, file.begin());
  EXPECT_EQ(HereMap::parse(file, kPieces).count(), 0U);
  EXPECT_EQ(HereMap::parse(file, kPieces).damaged(), 1U);
}

TEST(HereMapTest, GoldenBytes) {
  HereMap map(10);
  map.set(0, true);
  map.set(9, true);
  const auto sectors = map.take_changed();
  ASSERT_EQ(sectors.size(), 2U);
  EXPECT_EQ(to_hex(ByteView(sectors[0].bytes).first(24)),
            "47574948"          // GWIH
            "00000001"          // version
            "000000000000000a"  // pieces
            "b1c8a66f2bdcccac");
  EXPECT_EQ(to_hex(ByteView(sectors[1].bytes).first(4)), "01020000");
  EXPECT_EQ(to_hex(ByteView(sectors[1].bytes).last(8)), "21ba5d329d9b79d3");
}

}  // namespace
}  // namespace godwit::image
