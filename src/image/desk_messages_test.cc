#include "image/desk_messages.h"

#include "image/disk_pieces.h"

#include <gmock/gmock.h>

namespace godwit::image::desk {
namespace {

using ::testing::ElementsAre;

ByteView body(const ByteVector& frame) { return ByteView(frame).subspan(4); }

TEST(DeskMessages, AreTheBytesOfTheProtocol) {
  const ByteVector bits{std::byte{0x05}, std::byte{0x80}};
  EXPECT_EQ(to_hex(pack(Hello{})), "00000009014744534b00000001");
  EXPECT_EQ(to_hex(pack(Welcome{0x40000000})), "0000000d02000000010000000040000000");
  EXPECT_EQ(to_hex(pack(Map{16, bits})), "0000000703000000100580");
  EXPECT_EQ(to_hex(pack(Here{{{7, 2}}})), "0000000b0400010000000700000002");
  EXPECT_EQ(to_hex(pack(Want{Urgency::now, {{7, 2}}})), "0000000c050100010000000700000002");
  EXPECT_EQ(to_hex(pack(Touched{3, {9, 1}})), "0000000f060000000300020000000900000001");
}

TEST(DeskMessages, AreReadAsTheyWereWritten) {
  const std::vector<Range> ranges{{7, 2}, {100, 1}};
  EXPECT_TRUE(parse_hello(body(pack(Hello{}))));
  EXPECT_EQ(parse_welcome(body(pack(Welcome{77})))->bytes, 77U);
  EXPECT_EQ(parse_here(body(pack(Here{ranges})))->ranges, ranges);
  const auto want = parse_want(body(pack(Want{Urgency::soon, ranges})));
  EXPECT_TRUE(want && want->urgency == Urgency::soon && want->ranges == ranges);
  EXPECT_THAT(parse_touched(body(pack(Touched{3, {9, 1}})))->pieces, ElementsAre(9, 1));
}

TEST(DeskMessages, WhatIsNotWholeIsRefused) {
  for (auto frame : {pack(Hello{}), pack(Welcome{1}), pack(Here{{{1, 1}}}), pack(Want{Urgency::now, {{1, 1}}}),
                     pack(Touched{0, {1}})}) {
    for (std::size_t size = 0; size + 4 < frame.size(); ++size) {
      const auto cut = body(frame).first(size);
      EXPECT_FALSE(parse_hello(cut) || parse_welcome(cut) || parse_here(cut) || parse_want(cut) || parse_touched(cut));
    }
    frame.push_back(std::byte{0});
    const auto longer = body(frame);
    EXPECT_FALSE(parse_hello(longer) || parse_welcome(longer) || parse_here(longer) || parse_want(longer) ||
                 parse_touched(longer));
  }
  EXPECT_FALSE(parse_map(body(pack(Map{4, {}}))));  // no multiple of 8
  EXPECT_FALSE(parse_want(body(pack(Want{Urgency{3}, {}}))));
}

TEST(DeskMessages, AnotherVersionIsToldApart) {
  auto hello = pack(Hello{});
  hello.back() = std::byte{2};
  EXPECT_EQ(parse_hello(body(hello)).error().code, Errc::unsupported);
}

TEST(DeskMessages, PiecesThatFollowEachOtherAreOneRun) {
  std::vector<std::uint32_t> pieces{4, 5, 6, 9, 8};
  EXPECT_THAT(take_ranges(pieces), ElementsAre(Range{4, 3}, Range{9, 1}, Range{8, 1}));
  EXPECT_TRUE(pieces.empty());
  for (std::uint32_t i = 0; i <= kRangesLimit; ++i) pieces.push_back(2 * i);
  EXPECT_EQ(take_ranges(pieces).size(), kRangesLimit);
  EXPECT_THAT(pieces, ElementsAre(2 * kRangesLimit));
}

}  // namespace
}  // namespace godwit::image::desk
