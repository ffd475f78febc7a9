// What a switch keeps of each of its very many members.
#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

TEST(ManyMembers, MembersOfOneHostShareWhatIsTheSame) {
  Places places;
  const KnownLocation one(places, location_at(1, 3));
  const KnownLocation two(places, location_at(1, 4));
  const KnownLocation three(places, location_at(2, 4));
  EXPECT_EQ(one.place, two.place);
  EXPECT_NE(two.place, three.place);
  EXPECT_EQ(places.size(), 2U);
  EXPECT_EQ(wire::Location(one), location_at(1, 3));
  EXPECT_EQ(wire::Location(two), location_at(1, 4));
  EXPECT_EQ(wire::Location(KnownLocation{}), wire::Location{});
}

TEST(ManyMembers, WhatNobodyHasAnyMoreIsForgotten) {
  Places places;
  for (std::uint16_t port = 1; port <= 10'000; ++port) {
    auto location = location_at(1, 1);
    location.underlay_port = port;
    const KnownLocation passing(places, location);
  }
  EXPECT_LT(places.size(), 200U);
}

TEST(ManyMembers, AnIdIsNineBytesAndReadsBack) {
  for (const auto* text : {"i-00000000000000000", "i-0123456789abcdef0", "i-fffffffffffffffff"}) {
    EXPECT_EQ(to_string(read_instance_id(text).value()), text);
  }
  EXPECT_LT(read_instance_id("i-0000000000000000f"), read_instance_id("i-00000000000000010"));
  for (const auto* text : {"", "i-", "net-00000000000000001", "i-0123456789ABCDEF0", "i-0123456789abcdef01"}) {
    EXPECT_FALSE(read_instance_id(text)) << text;
  }
}

TEST(ManyMembers, EachIsFoundByItsAddressAndNobodyElseIs) {
  struct Item {
    wire::Mac mac;
  };
  std::vector<Item> items;
  for (std::uint64_t i = 0; i < 5000; ++i) items.push_back({{i << 20U}});  // all of one slot, if it hashed badly
  MemberIndex<Item, &Item::mac> index;
  EXPECT_EQ(index.find(wire::Mac{1}), nullptr);
  index.begin(items.size());
  for (auto& each : items) index.add(each);
  for (auto& each : items) EXPECT_EQ(index.find(each.mac), &each);
  EXPECT_EQ(index.find(wire::Mac{1}), nullptr);
}

}  // namespace
}  // namespace godwit::overlay::testing
