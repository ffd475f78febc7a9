#include "image/disk_pieces.h"

#include <gmock/gmock.h>

namespace godwit::image {
namespace {

using desk::Here;
using desk::Map;
using desk::Range;
using desk::Urgency;
using ::testing::ElementsAre;

constexpr std::uint64_t kBytes = 100 * kPiece_bytes;

class DiskPiecesTest : public ::testing::Test {
 protected:
  void expect_wanted(Urgency urgency, const std::vector<Range>& ranges) {
    const auto want = pieces.next_want();
    ASSERT_TRUE(want);
    EXPECT_EQ(want->urgency, urgency);
    EXPECT_EQ(want->ranges, ranges);
  }

  DiskPieces pieces{kBytes};
};

TEST_F(DiskPiecesTest, ARangeOfBytesIsTheseItTouches) {
  EXPECT_EQ(DiskPieces::range_of(0, 1), (Range{0, 1}));
  EXPECT_EQ(DiskPieces::range_of(kPiece_bytes - 1, 2), (Range{0, 2}));
  EXPECT_EQ(DiskPieces::range_of(kPiece_bytes, kPiece_bytes), (Range{1, 1}));
  EXPECT_EQ(DiskPieces(kBytes + 1).count(), 101U);
}

TEST_F(DiskPiecesTest, WhatReadsWaitForIsAskedForOnce) {
  pieces.touch({11, 2});
  pieces.touch({10, 2});
  expect_wanted(Urgency::now, {{10, 3}});
  EXPECT_FALSE(pieces.next_want());
  ASSERT_TRUE(pieces.take(Here{{{10, 2}}}));
  EXPECT_TRUE(pieces.has({10, 2}));
  EXPECT_FALSE(pieces.has({11, 2}));
  EXPECT_EQ(pieces.waited_for(), 1U);
}

TEST_F(DiskPiecesTest, ToAnotherAgentAllIsSaidAgainThatIsStillMissing) {
  pieces.touch({10, 1});
  pieces.touch({20, 1});
  pieces.touch({30, 1});
  (void)pieces.next_want();
  (void)pieces.next_touched();
  pieces.leave({30, 1});
  ASSERT_TRUE(pieces.take(Here{{{20, 1}}}));
  pieces.begin_saying();
  expect_wanted(Urgency::now, {{10, 1}});
  const auto touched = pieces.next_touched();
  ASSERT_TRUE(touched);
  EXPECT_EQ(touched->at, 0U);
  EXPECT_THAT(touched->pieces, ElementsAre(10, 20, 30));
  EXPECT_FALSE(pieces.next_touched());
}

TEST_F(DiskPiecesTest, WhereReadsFollowEachOtherHalfAsMuchIsAskedForAhead) {
  pieces.touch({9, 2});  // one read
  pieces.touch({20, 1});
  (void)pieces.next_want();
  EXPECT_FALSE(pieces.next_want());
  pieces.touch({11, 1});
  expect_wanted(Urgency::now, {{11, 1}});
  expect_wanted(Urgency::soon, {{12, 1}});
  pieces.touch({11, 1});  // nothing new
  EXPECT_FALSE(pieces.next_want());
  for (std::uint32_t piece = 12; piece <= 17; ++piece) pieces.touch({piece, 1});
  expect_wanted(Urgency::now, {{12, 6}});  // reads have come to those: now they are urgent
  expect_wanted(Urgency::soon, {{18, 2}, {21, 1}});
  for (std::uint32_t piece = 95; piece <= 99; ++piece) pieces.touch({piece, 1});  // to the last
  expect_wanted(Urgency::now, {{95, 5}});
  EXPECT_FALSE(pieces.next_want());
}

TEST_F(DiskPiecesTest, TheMapSaysWhatIsHereAndWhatIsNotAnyMore) {
  const ByteVector some{std::byte{0x03}};
  ASSERT_TRUE(pieces.take(Map{8, some}));
  EXPECT_TRUE(pieces.has({8, 2}));
  EXPECT_FALSE(pieces.has({8, 3}));
  pieces.touch({9, 1});
  EXPECT_FALSE(pieces.next_want());
  ASSERT_TRUE(pieces.take(Map{8, ByteVector(1)}));
  expect_wanted(Urgency::now, {{9, 1}});
}

TEST_F(DiskPiecesTest, WhatTheDiskHasNotIsRefused) {
  EXPECT_FALSE(pieces.take(Map{0, ByteVector(14)}));
  EXPECT_FALSE(pieces.take(Map{104, ByteVector(1)}));
  EXPECT_TRUE(pieces.take(Map{96, ByteVector(1, std::byte{0xff})}));
  EXPECT_FALSE(pieces.take(Here{{{100, 1}}}));
  EXPECT_FALSE(pieces.take(Here{{{1, ~0U}}}));
  EXPECT_FALSE(pieces.has({0, 1}));
}

TEST_F(DiskPiecesTest, TheOrderOfFirstReadsIsKeptUpToABound) {
  DiskPieces many((kBootOrderLimit + 10) * kPiece_bytes);
  for (std::uint32_t i = 0; i < kBootOrderLimit + 10; ++i) {
    many.touch({i, 1});
    many.leave({i, 1});
  }
  EXPECT_EQ(many.touched().size(), kBootOrderLimit);
  std::size_t said = 0;
  while (const auto touched = many.next_touched()) said += touched->pieces.size();
  EXPECT_EQ(said, kBootOrderLimit);
}

}  // namespace
}  // namespace godwit::image
