#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kNow{Seconds{1000}};

// Host 1 has guests 0 and 1, host 2 has guest 2, host 3 has guest 3; guest 4 is nowhere.
class ForwarderTest : public ::testing::Test {
 protected:
  ForwarderTest() {
    const auto network = network_of({1, 1, 2, 3, 0});
    EXPECT_TRUE(a.configure(kNow, network, {{0, 1}, {1, 1}}));
    EXPECT_TRUE(b.configure(kNow, network, {{2, 1}}));
  }
  // What a sent to b, as b gets it.
  void pass_on() {
    for (const auto& each : std::exchange(a.sent, {})) {
      if (each.to == host_address(2)) b.from_underlay(kNow, each.from, each.bytes);
    }
  }

  TestHost a{1, 1};
  TestHost b{2, 2};
};

ByteVector arp_request(unsigned from, wire::Ipv4 target) {
  const auto frame = wire::arp_frame({wire::kBroadcastMac, guest_mac(from), wire::EtherType::arp},
                                     {wire::ArpOperation::request, guest_mac(from), guest_ip(from), {}, target});
  return {frame.begin(), frame.end()};
}

TEST_F(ForwarderTest, AFrameReachesTheMemberOnAnotherHostAndNobodyElse) {
  const auto frame = guest_frame(0, 2, "hello");
  a.from_guest(kNow, 0, frame);
  ASSERT_EQ(a.sent.size(), 1U);
  EXPECT_EQ(a.sent[0].to, host_address(2));
  EXPECT_TRUE(a.delivered.empty());
  pass_on();
  ASSERT_EQ(b.delivered.size(), 1U);
  EXPECT_EQ(b.delivered[0].instance, instance_id(2));
  EXPECT_EQ(b.delivered[0].frame, frame);
}

TEST_F(ForwarderTest, AFrameToANeighbourOnTheSameHostNeverLeavesIt) {
  a.from_guest(kNow, 0, guest_frame(0, 1, "hello"));
  EXPECT_TRUE(a.sent.empty());
  ASSERT_EQ(a.delivered.size(), 1U);
  EXPECT_EQ(a.delivered[0].instance, instance_id(1));
}

TEST_F(ForwarderTest, ArpIsAnsweredFromLocationsByTheLocalSwitch) {
  a.from_guest(kNow, 0, arp_request(0, guest_ip(2)));
  EXPECT_TRUE(a.sent.empty());
  ASSERT_EQ(a.delivered.size(), 1U);
  const auto reply = wire::read_arp(ByteView(a.delivered[0].frame).subspan(wire::kEthernetHeader));
  ASSERT_TRUE(reply);
  EXPECT_EQ(a.delivered[0].instance, instance_id(0));
  EXPECT_EQ(reply->operation, wire::ArpOperation::reply);
  EXPECT_EQ(reply->sender_mac, guest_mac(2));
  EXPECT_EQ(reply->sender_ip, guest_ip(2));
  EXPECT_EQ(reply->target_mac, guest_mac(0));
}

TEST_F(ForwarderTest, TheGatewayAndTheMetadataServiceHaveTheSameAddressOnEveryHost) {
  for (auto* host : {&a, &b}) {
    const unsigned guest = host == &a ? 0 : 2;
    for (const char* ip : {"10.77.0.1", "169.254.169.254"}) {
      host->delivered.clear();
      host->from_guest(kNow, guest, arp_request(guest, *wire::parse_ipv4(ip)));
      ASSERT_EQ(host->delivered.size(), 1U) << ip;
      const auto reply = wire::read_arp(ByteView(host->delivered[0].frame).subspan(wire::kEthernetHeader));
      EXPECT_EQ(reply->sender_mac, gateway_mac(kNetworkId));
    }
  }
}

TEST_F(ForwarderTest, ArpForNobodyForOneselfOrForAMemberThatIsNowhereGetsNoAnswer) {
  for (const auto target : {wire::Ipv4{0x0a4d00fe}, guest_ip(0), guest_ip(4)})
    a.from_guest(kNow, 0, arp_request(0, target));
  EXPECT_TRUE(a.delivered.empty());
  EXPECT_TRUE(a.sent.empty());
}

TEST_F(ForwarderTest, DhcpGoesToTheLocalGatewayOnly) {
  a.from_guest(kNow, 0, ipv4_frame(wire::kBroadcastMac, guest_mac(0), {0xffffffff}, {0}, "discover", 67));
  EXPECT_TRUE(a.sent.empty());
  ASSERT_EQ(a.delivered.size(), 1U);
  EXPECT_EQ(a.delivered[0].instance, "");
  a.delivered.clear();
  a.from_gateway(kNow, ipv4_frame(guest_mac(0), gateway_mac(kNetworkId), guest_ip(0), {0x0a4d0001}, "offer", 68));
  ASSERT_EQ(a.delivered.size(), 1U);
  EXPECT_EQ(a.delivered[0].instance, instance_id(0));
}

TEST_F(ForwarderTest, WhatIsForTheGatewayNeverLeavesTheHostInEitherDirection) {
  const auto gateway = gateway_mac(kNetworkId);
  a.from_guest(kNow, 0, ipv4_frame(gateway, guest_mac(0), {0xa9fea9fe}, guest_ip(0), "metadata"));
  ASSERT_EQ(a.delivered.size(), 1U);
  EXPECT_EQ(a.delivered[0].instance, "");
  a.from_gateway(kNow, ipv4_frame(guest_mac(2), gateway, guest_ip(2), {0x0a4d0001}, "to another host's guest"));
  a.from_gateway(kNow, ipv4_frame(wire::kBroadcastMac, gateway, {0xffffffff}, {0x0a4d0001}, "offer", 68));
  EXPECT_TRUE(a.sent.empty());
  EXPECT_EQ(a.drops(Drop::gateway_only_local), 1U);
  EXPECT_EQ(a.delivered.size(), 3U);  // the broadcast: to both guests of this host
}

TEST_F(ForwarderTest, ABroadcastGoesOnceToEachMemberHostAndToTheOtherGuestsHere) {
  a.from_guest(kNow, 0, ipv4_frame(wire::kBroadcastMac, guest_mac(0), {0xffffffff}, guest_ip(0), "all"));
  ASSERT_EQ(a.delivered.size(), 1U);
  EXPECT_EQ(a.delivered[0].instance, instance_id(1));
  ASSERT_EQ(a.sent.size(), 2U);
  EXPECT_EQ(a.sent[0].to, host_address(2));
  EXPECT_EQ(a.sent[1].to, host_address(3));
  pass_on();
  EXPECT_EQ(b.delivered.size(), 1U);
  EXPECT_TRUE(b.sent.empty());  // never replicated again
}

TEST_F(ForwarderTest, AnUnknownAddressIsNeverFlooded) {
  a.from_guest(kNow, 0, ipv4_frame({0x020000000099}, guest_mac(0), {0x0a4d0063}, guest_ip(0), "?"));
  a.from_guest(kNow, 0, guest_frame(0, 4, "a member that is nowhere"));
  EXPECT_TRUE(a.sent.empty());
  EXPECT_TRUE(a.delivered.empty());
  EXPECT_EQ(a.drops(Drop::unknown_destination), 1U);
  EXPECT_EQ(a.drops(Drop::not_located), 1U);
}

TEST_F(ForwarderTest, AGuestThatLiesAboutItsSourceIsDroppedAndCounted) {
  a.from_guest(kNow, 0, guest_frame(1, 2, "another's MAC"));
  a.from_guest(kNow, 0, ipv4_frame(guest_mac(2), guest_mac(0), guest_ip(2), guest_ip(1), "another's IP"));
  auto arp = arp_request(0, guest_ip(2));
  arp[31] ^= std::byte{1};  // the sender's IP
  a.from_guest(kNow, 0, arp);
  ByteVector ipv6(40);
  ipv6[0] = std::byte{0x60};
  ipv6[6] = std::byte{59};  // nothing more
  ipv6[8] = std::byte{0x20};
  a.from_guest(kNow, 0, ethernet(guest_mac(2), guest_mac(0), wire::EtherType::ipv6, ipv6));
  EXPECT_TRUE(a.sent.empty());
  EXPECT_TRUE(a.delivered.empty());
  EXPECT_EQ(a.drops(Drop::spoofed_mac), 1U);
  EXPECT_EQ(a.drops(Drop::spoofed_ip), 3U);
  // A VLAN tag would hide the lie.
  a.from_guest(kNow, 0, ethernet(guest_mac(2), guest_mac(0), wire::EtherType::vlan, ByteVector(60)));
  EXPECT_EQ(a.drops(Drop::unsupported), 1U);
  EXPECT_TRUE(a.sent.empty());
}

TEST_F(ForwarderTest, TheLongestFrameCrossesAnUnderlayOf1500AndALongerOneIsDropped) {
  const std::string longest(1500 - 28, 'x');
  const auto frame = guest_frame(0, 2, longest);
  a.from_guest(kNow, 0, frame);
  for (const auto& each : a.sent) EXPECT_LE(each.bytes.size() + 8 + 40, 1500U);  // UDP and IPv6
  pass_on();
  ASSERT_EQ(b.delivered.size(), 1U);
  EXPECT_EQ(b.delivered[0].frame, frame);
  a.from_guest(kNow, 0, guest_frame(0, 2, longest + "x"));
  EXPECT_TRUE(a.sent.empty());
  EXPECT_EQ(a.drops(Drop::too_big), 1U);
}

ByteVector tcp_super_frame(unsigned from, unsigned to, std::size_t payload) {
  auto out = guest_frame(from, to, std::string(12 + payload, 'x'));  // a UDP header is 8 of TCP's 20 bytes
  out[wire::kEthernetHeader + 9] = std::byte{6};
  out[wire::kEthernetHeader + 20 + 12] = std::byte{0x50};
  return out;
}
constexpr sys::Offload kTcp4{true, 1, 0, 1448, 34, 16};

TEST_F(ForwarderTest, ASuperFrameCrossesWholeAndCountsAsTheFramesThatItIs) {
  const auto frame = tcp_super_frame(0, 2, 60'000);
  a.from_guest(kNow, 0, frame, kTcp4);
  EXPECT_GT(a.sent.size(), 40U);
  pass_on();
  ASSERT_EQ(b.delivered.size(), 1U);
  EXPECT_EQ(b.delivered[0].frame, frame);
  auto offload = kTcp4;
  offload.header_bytes = 54;
  EXPECT_EQ(b.delivered[0].offload, offload);
  const auto& counted = a.core().counters().pairs().at({kVni, guest_mac(0), guest_mac(2)});
  EXPECT_EQ(counted.frames, 42U);
  EXPECT_EQ(counted.bytes, 60'000U + 42 * 54);
}

TEST_F(ForwarderTest, ASuperFrameWhoseSegmentsWouldBeTooLongIsDroppedOnEitherSide) {
  auto offload = kTcp4;
  offload.segment_bytes = 1461;
  a.from_guest(kNow, 0, tcp_super_frame(0, 2, 60'000), offload);
  EXPECT_TRUE(a.sent.empty());
  EXPECT_EQ(a.drops(Drop::too_big), 1U);
  const auto small = tcp_super_frame(0, 2, 500);
  offload.segment_bytes = 9000;
  b.record(kNow, 1, {RecordKind::super_frame, 0, kVni, small.size(), offload}, small);
  EXPECT_TRUE(b.delivered.empty());
  EXPECT_EQ(b.drops(Drop::too_big), 1U);
}

TEST_F(ForwarderTest, NothingPassesAPortWhoseInstanceIsNotHereYet) {
  // Guest 3 is about to move from host 3 to host 2, which has its port already.
  ASSERT_TRUE(b.configure(kNow, network_of({1, 1, 2, 3, 0}), {{2, 1}, {3, 0}}));
  b.from_guest(kNow, 3, guest_frame(3, 0, "too early"));
  EXPECT_TRUE(b.sent.empty());
  EXPECT_EQ(b.drops(Drop::not_claimed), 1U);
  b.from_guest(kNow, 2, guest_frame(2, 3, "to where it still is"));
  ASSERT_EQ(b.sent.size(), 1U);
  EXPECT_EQ(b.sent[0].to, host_address(3));
}

TEST_F(ForwarderTest, DataIsAcceptedFromHostsOfMembersOfThatNetworkOnly) {
  const auto frame = guest_frame(0, 2, "hello");
  b.record(kNow, 9, {RecordKind::frame, 0, kVni, frame.size(), {}}, frame);  // a key that no location names
  EXPECT_EQ(b.drops(Drop::not_authentic), 1U);
  b.record(kNow, 1, {RecordKind::frame, 0, kVni + 1, frame.size(), {}}, frame);
  EXPECT_EQ(b.drops(Drop::unknown_network), 1U);
  auto other = network_of({1, 4});  // host 4 is of this network only
  other.id = "net-00000000000000002";
  other.vni = kVni + 1;
  auto config = b.config(network_of({1, 1, 2, 3, 0}), {{2, 1}});
  config.networks.push_back({other, {}, "ns2"});
  ASSERT_TRUE(b.core().configure(kNow, config));
  b.record(kNow, 4, {RecordKind::frame, 0, kVni, frame.size(), {}}, frame);
  EXPECT_EQ(b.drops(Drop::not_a_member_host), 1U);
  EXPECT_TRUE(b.delivered.empty());
}

TEST_F(ForwarderTest, FramesAndBytesOfEachPairAreCountedWhereTheyEnter) {
  for (int i = 0; i < 3; ++i) a.from_guest(kNow, 0, guest_frame(0, 2, "12345"));
  pass_on();
  const auto& pairs = a.core().counters().pairs();
  const auto found = pairs.find({kVni, guest_mac(0), guest_mac(2)});
  ASSERT_NE(found, pairs.end());
  EXPECT_EQ(found->second.frames, 3U);
  EXPECT_EQ(found->second.bytes, 3 * guest_frame(0, 2, "12345").size());
  EXPECT_TRUE(b.core().counters().pairs().empty());
}

// Host 1, which has no session with its peer, host 2.
class NoSessionTest : public ::testing::Test {
 protected:
  NoSessionTest() {
    EXPECT_TRUE(alone.configure(kNow, network_of({1, 2}), {{0, 1}}));
    alone.seal().forget_where(host_key(2));
  }
  // Something comes by the first session with it.
  void hear_of_peer(TimePoint now) {
    alone.record(now, 2, {RecordKind::frame, 0, kVni, guest_frame(1, 0, "hi").size(), {}}, guest_frame(1, 0, "hi"));
  }

  TestHost alone{1, 1};
};

TEST_F(NoSessionTest, NothingIsSentInClearAndWhatWaitsTooLongIsDroppedAndCounted) {
  alone.from_guest(kNow, 0, guest_frame(0, 1, "hello"));
  EXPECT_TRUE(alone.sent.empty());
  const auto before = alone.drops(Drop::no_session);
  const auto later = kNow + Backlog::kKeptFor + Seconds{2};
  alone.poll(later);
  EXPECT_GT(alone.drops(Drop::no_session), before);
  hear_of_peer(later);
  EXPECT_TRUE(std::ranges::none_of(alone.sent, carries_a_frame));
}

TEST_F(NoSessionTest, FramesWaitForItAndGoOutInOrderAheadOfWhatComesLater) {
  alone.from_guest(kNow, 0, guest_frame(0, 1, "one"));
  alone.from_guest(kNow, 0, guest_frame(0, 1, "two"));
  hear_of_peer(kNow);
  alone.from_guest(kNow, 0, guest_frame(0, 1, "three"));
  TestHost peer(2, 2);
  ASSERT_TRUE(peer.configure(kNow, network_of({1, 2}), {{1, 1}}));
  for (const auto& each : alone.sent) peer.from_underlay(kNow, each.from, each.bytes);
  ASSERT_EQ(peer.delivered.size(), 3U);
  EXPECT_EQ(peer.delivered[0].frame, guest_frame(0, 1, "one"));
  EXPECT_EQ(peer.delivered[1].frame, guest_frame(0, 1, "two"));
  EXPECT_EQ(peer.delivered[2].frame, guest_frame(0, 1, "three"));
  EXPECT_EQ(alone.drops(Drop::no_session), 0U);
}

TEST_F(ForwarderTest, NoBytesFromOutsideMakeItCrashOrSpeakOutOfTurn) {
  SeededRandom random(42);
  a.from_guest(kNow, 0, guest_frame(0, 2, "a good one to start from"));
  const auto datagram = a.sent.at(0).bytes;
  const auto frame = guest_frame(0, 2, "another good one");
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = round % 2 == 0 ? datagram : frame;
    bytes.resize(random.below(bytes.size() + 64));
    for (auto flips = random.below(12); flips > 0 && !bytes.empty(); --flips) {
      bytes[random.below(bytes.size())] = static_cast<std::byte>(random.below(256));
    }
    if (round % 2 == 0) {
      b.from_underlay(kNow, host_address(1), bytes);
    } else {
      b.from_guest(kNow, 2, bytes);
    }
    for (const auto& each : b.sent) EXPECT_TRUE(each.to == host_address(1) || each.to == host_address(3));
    b.sent.clear();
    b.delivered.clear();
  }
}

}  // namespace
}  // namespace godwit::overlay::testing
