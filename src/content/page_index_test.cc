#include "content/page_index.h"

#include <gtest/gtest.h>

namespace godwit::content {
namespace {

PageGroup group(std::uint32_t number) {
  PageGroup out;
  out.number = number;
  for (std::size_t i = 0; i < kGroup_pages; ++i) out.pages[i] = {1, 1000 * number + i};
  return out;
}

ByteVector index() {
  auto bytes = pack_index_begin(7);
  append(bytes, pack_tenant(1, "alice"));
  append(bytes, pack(group(0)));
  append(bytes, pack(group(2)));
  return bytes;
}

TEST(PageIndex, WhatIsToldOfASegmentIsReadBack) {
  const auto parsed = parse_segment_index(index(), 7, 256);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->tenants.at(1), "alice");
  ASSERT_EQ(parsed->groups.size(), 2U);
  EXPECT_EQ(parsed->groups[1].number, 2U);
  EXPECT_EQ(parsed->groups[1].pages[3].fingerprint, 2003U);
}

TEST(PageIndex, AProcessThatDiedWhileItWroteTakesTheLastRecordAlone) {
  const auto bytes = index();
  for (std::size_t size = bytes.size() - kGroupRecord_bytes; size < bytes.size(); ++size) {
    const auto parsed = parse_segment_index(ByteView(bytes).first(size), 7, 256);
    ASSERT_TRUE(parsed) << size;
    EXPECT_EQ(parsed->groups.size(), 1U) << size;
  }
  auto torn = bytes;
  torn[torn.size() - 20] ^= std::byte{1};
  EXPECT_EQ(parse_segment_index(torn, 7, 256)->groups.size(), 1U);
}

TEST(PageIndex, WhatIsNotOfThisSegmentIsRefused) {
  EXPECT_FALSE(parse_segment_index(index(), 8, 256));
  EXPECT_FALSE(parse_segment_index({}, 7, 256));
  EXPECT_EQ(parse_segment_index(index(), 7, 128)->groups.size(), 1U) << "the segment has two groups, 0 and 1";
}

TEST(PageIndex, GoldenBytes) {
  EXPECT_EQ(to_hex(pack(StoreHead{256, 3, 5})).substr(0, 64),
            "4757505300000001000000000000010000000000000000030000000000000005");
  EXPECT_EQ(to_hex(pack_index_begin(7)).substr(0, 32), "47575049000000010000000000000007");
  EXPECT_EQ(to_hex(pack_tenant(1, "alice")).substr(0, 24), "00000008010001616c696365");
  const auto packed = pack(group(2));
  EXPECT_EQ(packed.size(), kGroupRecord_bytes);
  EXPECT_EQ(to_hex(packed).substr(0, 58),
            "00000285020000000200010000000000"
            "0007d000010000000000"
            "0007d1");
  auto half = pack(StoreHead{256, 3, 5});
  EXPECT_EQ(parse_store_head(half)->last, 5U);
  half[20] ^= std::byte{1};
  EXPECT_FALSE(parse_store_head(half));
}

}  // namespace
}  // namespace godwit::content
