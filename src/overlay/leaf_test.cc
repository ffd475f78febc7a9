// Host 1 serves a WireGuard peer, member 1; guest 0 is there too, guest 2 on host 2.
#include "overlay/leaf.h"

#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kNow{Seconds{1000}};
constexpr unsigned kLeafNumber = 77;  // as ClearSeal knows it by its key

class LeafTest : public ::testing::Test {
 protected:
  LeafTest() {
    const auto network = network_of({1, 1, 2});
    auto config = a.config(network, {{0, 1}, {1, 1}});
    for (auto& port : config.networks[0].ports) {
      if (port.instance != instance_id(1)) continue;
      port.guest_tap.clear();
      port.wireguard_key = to_hex(host_key(kLeafNumber));
    }
    EXPECT_TRUE(a.core().configure(kNow, config));
    a.attach(0, 1);
    EXPECT_TRUE(b.configure(kNow, network, {{2, 1}}));
  }
  // An IP packet of the leaf's, as its session carries it: filled up to 16 bytes.
  void from_leaf(ByteView frame) {
    ByteVector datagram(kSealHeader);
    append(datagram, frame.subspan(wire::kEthernetHeader));
    datagram.resize(kSealHeader + (datagram.size() - kSealHeader + 15) / 16 * 16 + kSealTag);
    ClearSeal theirs(host_key(kLeafNumber));
    ASSERT_TRUE(theirs.seal(kNow, theirs.add(kNow, {host_key(1), {}, Profile::wireguard}, host_address(1)), datagram));
    a.from_underlay(kNow, host_address(kLeafNumber), datagram);
  }
  void pass_on() {
    for (const auto& each : std::exchange(a.sent, {})) {
      if (each.to == host_address(2)) b.from_underlay(kNow, each.from, each.bytes);
    }
    for (const auto& each : std::exchange(b.sent, {})) a.from_underlay(kNow, each.from, each.bytes);
  }
  // What went to the leaf.
  [[nodiscard]] std::vector<ByteVector> packets() const {
    std::vector<ByteVector> out;
    for (const auto& each : a.sent) {
      if (each.to != host_address(kLeafNumber)) continue;
      out.emplace_back(each.bytes.begin() + kSealHeader, each.bytes.end() - kSealTag);
    }
    return out;
  }

  TestHost a{1, 1};
  TestHost b{2, 2};
};

TEST_F(LeafTest, ItsPacketsReachMembersAsFramesWithItsAddress) {
  from_leaf(guest_frame(1, 0, "here"));
  ASSERT_EQ(a.delivered.size(), 1U);
  EXPECT_EQ(a.delivered[0].instance, instance_id(0));
  EXPECT_EQ(a.delivered[0].frame, guest_frame(1, 0, "here"));
  from_leaf(guest_frame(1, 2, "there"));
  pass_on();
  ASSERT_EQ(b.delivered.size(), 1U);
  EXPECT_EQ(b.delivered[0].frame, guest_frame(1, 2, "there"));
}

TEST_F(LeafTest, FramesForItArriveAsPackets) {
  from_leaf(guest_frame(1, 0, "where I am"));
  for (auto* host : {&a, &b}) {
    a.sent.clear();
    const unsigned guest = host == &a ? 0 : 2;
    const auto frame = guest_frame(guest, 1, "hello");
    host->from_guest(kNow, guest, frame);
    if (host == &b) pass_on();
    ASSERT_EQ(packets().size(), 1U) << guest;
    EXPECT_EQ(packets()[0].size() % 16, 0U);
    EXPECT_TRUE(std::ranges::equal(ByteView(packets()[0]).first(frame.size() - 14), ByteView(frame).subspan(14)));
  }
}

TEST_F(LeafTest, ItSpeaksForNobodyElse) {
  from_leaf(ipv4_frame(guest_mac(0), guest_mac(1), guest_ip(0), guest_ip(2), "as guest 2"));
  EXPECT_TRUE(a.delivered.empty());
  EXPECT_EQ(a.drops(Drop::spoofed_ip), 1U);
  from_leaf(ipv4_frame(guest_mac(0), guest_mac(1), {0x08080808U}, guest_ip(1), "to anybody"));
  EXPECT_EQ(a.drops(Drop::unknown_destination), 1U);
}

TEST_F(LeafTest, WhatIsNoPacketIsDropped) {
  ByteVector frame = guest_frame(1, 0, "hello");
  store_be16(ByteSpan(frame).subspan(16), 2000);  // longer than it is
  from_leaf(frame);
  frame[14] = std::byte{0x65};
  from_leaf(frame);
  from_leaf(ByteView(frame).first(14 + 10));
  EXPECT_EQ(a.drops(Drop::malformed) + a.drops(Drop::unsupported), 3U);
  EXPECT_TRUE(a.delivered.empty());
}

TEST_F(LeafTest, ItsArpIsAnsweredLikeAnyMembers) {
  const auto asked = wire::arp_frame({wire::kBroadcastMac, guest_mac(2), wire::EtherType::arp},
                                     {wire::ArpOperation::request, guest_mac(2), guest_ip(2), {}, guest_ip(1)});
  b.from_guest(kNow, 2, asked);
  ASSERT_EQ(b.delivered.size(), 1U);
  EXPECT_EQ(wire::read_arp(ByteView(b.delivered[0].frame).subspan(14))->sender_mac, guest_mac(1));
}

TEST_F(LeafTest, WhoSendsMoreThanItsDeviceTakesIsTold) {
  from_leaf(guest_frame(1, 0, "where I am"));
  a.delivered.clear();
  a.sent.clear();
  auto frame = guest_frame(0, 1, std::string(1472, 'x'));
  store_be16(ByteSpan(frame).subspan(14 + 6), 0x4000);  // don't fragment
  a.from_guest(kNow, 0, frame);
  EXPECT_TRUE(packets().empty());
  ASSERT_EQ(a.delivered.size(), 1U);
  const auto ip = ByteView(a.delivered[0].frame).subspan(14);
  EXPECT_EQ(wire::read_ipv4(ip)->source, guest_ip(1));
  EXPECT_EQ(load_be16(ip.subspan(20)), 0x0304);  // unreachable: fragmentation needed
  EXPECT_EQ(load_be16(ip.subspan(26)), kLeafMtu);
}

TEST_F(LeafTest, ThatItIsNoMemberAnyMoreEndsItsSession) {
  from_leaf(guest_frame(1, 0, "still here"));
  ASSERT_EQ(a.delivered.size(), 1U);
  EXPECT_TRUE(a.configure(kNow, network_of({1, 0, 2}), {{0, 1}}));
  from_leaf(guest_frame(1, 0, "and now?"));
  EXPECT_EQ(a.delivered.size(), 1U);
}

TEST_F(LeafTest, IPv6PassesBothWays) {
  const auto udp = [](std::string_view text) {
    ByteVector out(8);
    append(out, as_bytes(text));
    return out;
  };
  const auto there = ipv6_frame(guest_mac(0), guest_mac(1), guest_ip6(0), guest_ip6(1), 17, udp("hello"));
  from_leaf(there);
  ASSERT_EQ(a.delivered.size(), 1U);
  EXPECT_EQ(a.delivered[0].frame, there);
  const auto back = ipv6_frame(guest_mac(1), guest_mac(0), guest_ip6(1), guest_ip6(0), 17, udp("yes?"));
  a.from_guest(kNow, 0, back);
  ASSERT_EQ(packets().size(), 1U);
  EXPECT_TRUE(std::ranges::equal(ByteView(packets()[0]).first(back.size() - 14), ByteView(back).subspan(14)));
  a.delivered.clear();
  from_leaf(ipv6_frame(guest_mac(0), guest_mac(1), guest_ip6(0), guest_ip6(2), 17, udp("as guest 2")));
  from_leaf(ipv6_frame(guest_mac(0), guest_mac(1), {0x2001ULL << 48U, 1}, guest_ip6(1), 17, udp("to anybody")));
  EXPECT_TRUE(a.delivered.empty());
  EXPECT_EQ(a.drops(Drop::spoofed_ip), 1U);
  EXPECT_EQ(a.drops(Drop::unknown_destination), 1U);
}

TEST_F(LeafTest, WhoSendsMoreIPv6ThanItsDeviceTakesIsTold) {
  from_leaf(guest_frame(1, 0, "where I am"));
  a.delivered.clear();
  a.sent.clear();
  a.from_guest(kNow, 0, ipv6_frame(guest_mac(1), guest_mac(0), guest_ip6(1), guest_ip6(0), 17, ByteVector(1450)));
  EXPECT_TRUE(packets().empty());
  ASSERT_EQ(a.delivered.size(), 1U);
  const auto packet = ByteView(a.delivered[0].frame).subspan(14);
  const auto ip = wire::read_ipv6(packet);
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->source, guest_ip6(1));
  EXPECT_EQ(ip->destination, guest_ip6(0));
  EXPECT_EQ(packet[40], std::byte{2});  // packet too big
  EXPECT_EQ(load_be32(packet.subspan(44)), kLeafMtu);
  a.delivered.clear();
  ByteVector error(1450);
  error[0] = std::byte{1};
  a.from_guest(kNow, 0, ipv6_frame(guest_mac(1), guest_mac(0), guest_ip6(1), guest_ip6(0), wire::kIcmpv6, error));
  EXPECT_TRUE(a.delivered.empty()) << "never about an error";
}

TEST_F(LeafTest, ItIsThereAgainAfterARestartOfTheSwitch) {
  TestHost again(1, 1);
  ASSERT_TRUE(again.core().configure(kNow, a.core().state()));
  EXPECT_EQ(again.core().state().networks.at(0).ports.at(1).wireguard_key, to_hex(host_key(kLeafNumber)));
}

TEST_F(LeafTest, NobodyJoinsWithTheKeyOfAHost) {
  auto config = a.config(network_of({1, 1, 2}), {{0, 1}, {1, 1}});
  config.networks[0].ports[1].guest_tap.clear();
  config.networks[0].ports[1].wireguard_key = to_hex(host_key(2));
  ASSERT_TRUE(a.core().configure(kNow, config));
  a.from_guest(kNow, 0, guest_frame(0, 2, "to the host"));
  pass_on();
  EXPECT_EQ(b.delivered.size(), 1U) << "its sessions are as they were";
}

}  // namespace
}  // namespace godwit::overlay::testing
