// Two networks on one host, with the same addresses: whatever a guest or a host of one of them sends, the other one's
// guests and hosts hear nothing.
#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kNow{Seconds{1000}};
constexpr const char* kOtherId = "net-00000000000000002";
constexpr unsigned kOtherGuest = 5;  // in the other network, here
constexpr int kRounds = 20'000;

// Host 1 has guests 0 and 1 of the network, and guest 5 of the other one. Host 2 has guest 2, host 3 the other's 6
// alone.
class IsolationTest : public ::testing::Test {
 protected:
  IsolationTest() {
    const auto network = network_of({1, 1, 2});
    auto other = network_of({0, 0, 0, 0, 0, 1, 3});
    other.id = kOtherId;
    other.vni = kVni + 1;
    other.members.erase(other.members.begin(), other.members.begin() + kOtherGuest);
    auto config = host.config(network, {{0, 1}, {1, 1}});
    config.networks.push_back({other, {}, "ns2"});
    config.networks[1].ports.push_back(
        {instance_id(kOtherGuest), to_string(guest_mac(kOtherGuest)), to_string(guest_ip(kOtherGuest)), "tap5", 1});
    EXPECT_TRUE(host.core().configure(kNow, config));
    for (const unsigned guest : {0U, 1U}) host.core().attach({kNetworkId, instance_id(guest)}, guest + 1);
    host.core().attach({kOtherId, instance_id(kOtherGuest)}, kOtherGuest + 1);
  }
  void expect_the_other_heard_nothing(const ByteVector& frame) {
    for (const auto& each : host.delivered) ASSERT_NE(each.instance, instance_id(kOtherGuest)) << to_hex(frame);
    for (const auto& each : host.sent) ASSERT_NE(each.to, host_address(3)) << to_hex(frame);
    host.delivered.clear();
    host.sent.clear();
  }
  ByteVector neighbour_question(unsigned target) {
    ByteVector message(24);
    message[0] = std::byte{135};
    wire::store_ipv6(ByteSpan(message).subspan(8), guest_ip6(target));
    return ipv6_frame(wire::multicast_mac(wire::kAllNodes), guest_mac(0), wire::kAllNodes, guest_ip6(0), wire::kIcmpv6,
                      message);
  }

  TestHost host{1, 1};
  SeededRandom random{3};
};

TEST_F(IsolationTest, TheOthersMembersAreNobodyHere) {
  const auto arp = wire::arp_frame({wire::kBroadcastMac, guest_mac(0), wire::EtherType::arp},
                                   {wire::ArpOperation::request, guest_mac(0), guest_ip(0), {}, guest_ip(kOtherGuest)});
  host.from_guest(kNow, 0, arp);
  host.from_guest(kNow, 0, neighbour_question(kOtherGuest));
  host.from_guest(kNow, 0, guest_frame(0, kOtherGuest, "to a MAC of the other network"));
  EXPECT_TRUE(host.delivered.empty());
  EXPECT_TRUE(host.sent.empty());
  EXPECT_EQ(host.drops(Drop::unknown_destination), 3U);
}

TEST_F(IsolationTest, NothingThatAGuestSendsReachesTheOtherNetwork) {
  const std::vector<ByteVector> good{guest_frame(0, 1, "unicast"), guest_frame(0, kOtherGuest, "to the other"),
                                     neighbour_question(6),
                                     ipv4_frame(wire::kBroadcastMac, guest_mac(0), {0xffffffff}, guest_ip(0), "to all"),
                                     ipv6_frame(wire::multicast_mac(wire::kAllNodes), guest_mac(0), wire::kAllNodes,
                                                guest_ip6(0), 17, ByteVector(16))};
  for (int round = 0; round < kRounds; ++round) {
    auto frame = good[random.below(good.size())];
    for (auto flips = random.below(6); flips > 0; --flips) {
      frame[random.below(frame.size())] = static_cast<std::byte>(random.below(256));
    }
    host.from_guest(kNow + Millis{100} * round, 0, frame);
    ASSERT_NO_FATAL_FAILURE(expect_the_other_heard_nothing(frame));
  }
}

TEST_F(IsolationTest, NothingThatAHostOfOneNetworkSendsReachesTheOther) {
  const auto frame = ipv4_frame(wire::kBroadcastMac, guest_mac(2), {0xffffffff}, guest_ip(2), "to all");
  host.record(kNow, 2, {RecordKind::frame, 0, kVni + 1, frame.size(), {}}, frame);
  EXPECT_EQ(host.drops(Drop::not_a_member_host), 1U);
  EXPECT_TRUE(host.delivered.empty());
  host.record(kNow, 2, {RecordKind::frame, 0, kVni, frame.size(), {}}, frame);
  EXPECT_EQ(host.delivered.size(), 2U);
  expect_the_other_heard_nothing(frame);
}

}  // namespace
}  // namespace godwit::overlay::testing
