#include "sky/addresses.h"

#include "support/counting_random.h"

#include <gtest/gtest.h>

namespace godwit::sky {
namespace {

TEST(Addresses, NetworksAreReadAndCounted) {
  const auto cidr = parse_cidr("10.77.0.0/24");
  ASSERT_TRUE(cidr);
  EXPECT_EQ(cidr->text(), "10.77.0.0/24");
  EXPECT_EQ(cidr->address(kFirstMember), "10.77.0.11");
  EXPECT_EQ(cidr->size(), 256U);
  EXPECT_TRUE(cidr->overlaps(*parse_cidr("10.0.0.0/8")));
  EXPECT_FALSE(cidr->overlaps(*parse_cidr("10.77.1.0/24")));
}

TEST(Addresses, WhatIsNoPrivateNetworkIsRefused) {
  for (const auto* text :
       {"", "10.77.0.0", "10.77.0.0/", "10.77.0.0/33", "10.77.0.0/7", "10.77.0.1/24", "10.77.0/24", "10.77.0.0.0/24",
        "10.256.0.0/24", "8.8.8.0/24", "10.77.0.0/24x", "-10.77.0.0/24", "172.15.0.0/16", "192.0.0.0/8", "fd00::/64"}) {
    EXPECT_FALSE(parse_cidr(text)) << text;
  }
  EXPECT_TRUE(parse_cidr("172.16.0.0/12"));
  EXPECT_TRUE(parse_cidr("192.168.4.0/28"));
}

TEST(Addresses, DrawnNetworksOverlapNoOther) {
  testing::CountingRandom random;
  std::vector<Cidr> taken;
  for (int i = 0; i < 200; ++i) {
    const auto drawn = draw_cidr(random, taken);
    ASSERT_TRUE(drawn);
    for (const auto& other : taken) EXPECT_FALSE(other.overlaps(*drawn));
    EXPECT_TRUE(parse_cidr(drawn->text()));
    taken.push_back(*drawn);
  }
  EXPECT_EQ(draw_cidr(random, {*parse_cidr("10.0.0.0/8")}).error().code, Errc::exhausted);
}

TEST(Addresses, MacsAreLocalAndUnicastAndVnisFit24Bits) {
  testing::CountingRandom random;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(draw_mac(random).starts_with("02:"));
    const auto vni = draw_vni(random);
    EXPECT_TRUE(vni >= 1 && vni < (1U << 24U));
  }
}

}  // namespace
}  // namespace godwit::sky
