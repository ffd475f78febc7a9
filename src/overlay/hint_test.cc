// Guests 0 and 1 are at host 1, guest 2 at host 2, as the records say; host 2 has a device for guest 0 too.
#include "overlay/hint.h"

#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kNow{Seconds{1000}};

ByteVector rarp_of(unsigned guest) {
  return ethernet(wire::kBroadcastMac, guest_mac(guest), wire::EtherType::rarp, ByteVector(46));
}
ByteVector arp_of(unsigned guest, wire::Ipv4 target) {
  const auto frame = wire::arp_frame({wire::kBroadcastMac, guest_mac(guest), wire::EtherType::arp},
                                     {wire::ArpOperation::request, guest_mac(guest), guest_ip(guest), {}, target});
  return {frame.begin(), frame.end()};
}

class HintTest : public ::testing::Test {
 protected:
  HintTest() {
    EXPECT_TRUE(a.configure(kNow, network, {{0, 1}, {1, 1}}));
    EXPECT_TRUE(b.configure(kNow, network, {{2, 1}, {0, 0}}));
    b.sent.clear();
  }
  // By b, as "who at whose device".
  std::vector<std::string> hints(TimePoint now = kNow) {
    std::vector<std::string> out;
    for (const auto& each : b.core().observe(now).announced) {
      EXPECT_EQ(each.network, kNetworkId);
      out.push_back(each.instance.back() + std::string(" at ") + (each.at.empty() ? "LAN" : each.at.substr(18)));
    }
    return out;
  }
  using Said = std::vector<std::string>;

  const wire::Network network = network_of({1, 1, 2});
  TestHost a{1, 1};
  TestHost b{2, 2};
};

TEST_F(HintTest, WhoAnnouncesItselfWhereItsRecordDoesNotSayIsTold) {
  b.from_guest(kNow, 0, rarp_of(0));
  EXPECT_EQ(hints(), Said{"0 at 0"});
  EXPECT_TRUE(b.delivered.empty());
  EXPECT_TRUE(b.sent.empty());
  EXPECT_EQ(b.drops(Drop::not_claimed), 1U);
  b.from_guest(kNow, 2, guest_frame(2, 0, "where do you go?"));
  EXPECT_EQ(b.sent.at(0).to, host_address(1)) << "a hint is no authority";
}

TEST_F(HintTest, ByArpOfItsOwnAddressToo) {
  b.from_guest(kNow, 0, arp_of(0, guest_ip(2)));
  EXPECT_EQ(hints(), Said{}) << "it only asks";
  b.from_guest(kNow, 0, arp_of(0, guest_ip(0)));
  EXPECT_EQ(hints(), Said{"0 at 0"});
}

TEST_F(HintTest, WhatAGuestSaysOfOthersIsToldWithWhoSaidIt) {
  b.from_guest(kNow, 2, rarp_of(1));
  EXPECT_EQ(hints(), Said{"1 at 2"});
  EXPECT_EQ(b.drops(Drop::spoofed_mac), 1U);
}

TEST_F(HintTest, OneOfADeviceIsKeptAndNotThatOfItselfForOneOfOthers) {
  b.from_guest(kNow, 2, rarp_of(0));
  b.from_guest(kNow, 2, rarp_of(1));
  EXPECT_EQ(hints(), Said{"1 at 2"}) << "the latest";
  b.from_guest(kNow, 0, rarp_of(0));
  b.from_guest(kNow, 0, rarp_of(1));
  EXPECT_EQ(hints(), (Said{"0 at 0", "1 at 2"}));
}

TEST_F(HintTest, WhoIsHereOrNoMemberGivesNone) {
  b.from_guest(kNow, 2, rarp_of(2));
  b.from_guest(kNow, 2, rarp_of(7));
  a.from_guest(kNow, 0, rarp_of(1));
  EXPECT_EQ(hints(), Said{});
  EXPECT_TRUE(a.core().observe(kNow).announced.empty());
}

TEST_F(HintTest, ItEndsWithTheRecordThatBearsItOut) {
  b.from_guest(kNow, 0, rarp_of(0));
  ASSERT_TRUE(b.announce(kNow, 0, 2, 5));
  EXPECT_EQ(hints(), Said{});
}

TEST_F(HintTest, ItEndsAWhileAfterItsLastFrame) {
  b.from_guest(kNow, 0, rarp_of(0));
  const auto later = kNow + kHintLife - Seconds{1};
  b.from_guest(later, 0, guest_frame(0, 2, "still here"));
  EXPECT_EQ(hints(later + kHintLife - Seconds{1}), Said{"0 at 0"});
  EXPECT_EQ(hints(later + kHintLife), Said{});
  b.from_guest(later + kHintLife, 0, guest_frame(0, 2, "no announcement"));
  EXPECT_EQ(hints(later + kHintLife), Said{});
}

TEST_F(HintTest, OnALanItIsToldAsWell) {
  auto config = b.config(network, {{2, 1}});
  config.networks[0].lan_device = "lan0";
  config.networks[0].network.uplink = location_at(2, 0);
  ASSERT_TRUE(b.core().configure(kNow, config));
  b.core().attach({kNetworkId, std::string(kLanPort)}, 2000);
  b.from_device(kNow, 2000, rarp_of(0));
  EXPECT_EQ(hints(), Said{"0 at LAN"});
}

}  // namespace
}  // namespace godwit::overlay::testing
