// IPv6 and what is sent to groups: who is answered, by whom, and what no guest may say.
#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

using wire::Icmpv6Type;
using wire::Ipv6;

constexpr TimePoint kNow{Seconds{1000}};
constexpr Ipv6 kNobody{};
constexpr Ipv6 kAllRouters{0xff02000000000000ULL, 2};
// As RFC 7217 makes them.
constexpr Ipv6 kPrivate{0xfe80000000000000ULL, 0x123456789abcdef0ULL};

Ipv6 solicited_group(Ipv6 target) { return {0xff02000000000000ULL, 0x1ff000000ULL | (target.low & 0xffffffU)}; }

ByteVector icmpv6(Icmpv6Type type, Ipv6 target, std::optional<wire::Mac> link = {}) {
  ByteVector out(24);
  out[0] = static_cast<std::byte>(type);
  wire::store_ipv6(ByteSpan(out).subspan(8), target);
  if (!link) return out;
  out.push_back(type == Icmpv6Type::neighbour_solicitation ? std::byte{1} : std::byte{2});
  out.push_back(std::byte{1});
  append_be16(out, static_cast<std::uint16_t>(link->bits >> 32U));
  append_be32(out, static_cast<std::uint32_t>(link->bits));
  return out;
}

ByteVector udp(std::uint16_t from, std::uint16_t to) {
  ByteVector out(16);
  store_be16(out, from);
  store_be16(ByteSpan(out).subspan(2), to);
  return out;
}

// Host 1 has guests 0 and 1, host 2 has guest 2, host 3 has guest 3; guest 4 is nowhere.
class NeighboursTest : public ::testing::Test {
 protected:
  NeighboursTest() {
    const auto network = network_of({1, 1, 2, 3, 0});
    EXPECT_TRUE(a.configure(kNow, network, {{0, 1}, {1, 1}}));
    EXPECT_TRUE(b.configure(kNow, network, {{2, 1}}));
  }
  void solicit(TestHost& host, unsigned guest, Ipv6 source, Ipv6 target) {
    const auto group = solicited_group(target);
    const auto link = source == kNobody ? std::nullopt : std::optional(guest_mac(guest));
    host.from_guest(kNow, guest,
                    ipv6_frame(wire::multicast_mac(group), guest_mac(guest), group, source, wire::kIcmpv6,
                               icmpv6(Icmpv6Type::neighbour_solicitation, target, link)));
  }
  void advertise(TestHost& host, unsigned guest, wire::Mac to, Ipv6 to_ip, Ipv6 target) {
    host.from_guest(kNow, guest,
                    ipv6_frame(to, guest_mac(guest), to_ip, target, wire::kIcmpv6,
                               icmpv6(Icmpv6Type::neighbour_advertisement, target, guest_mac(guest))));
  }
  // What the only answer at `host`, to guest `asker`, says.
  std::optional<wire::NeighbourMessage> answer(TestHost& host, unsigned asker) {
    const auto all = std::exchange(host.delivered, {});
    if (all.size() != 1 || all[0].instance != instance_id(asker)) return std::nullopt;
    packet = {all[0].frame.begin() + wire::kEthernetHeader, all[0].frame.end()};
    return wire::read_neighbour_message(*wire::read_ipv6(packet), packet);
  }
  void expect_nothing() {
    EXPECT_TRUE(a.sent.empty());
    EXPECT_TRUE(a.delivered.empty());
  }
  // What a sent to b, as b gets it, or the other way.
  static void pass_on(TestHost& from, TestHost& to) {
    for (const auto& each : std::exchange(from.sent, {})) {
      if (each.to == host_address(to.number())) to.from_underlay(kNow, each.from, each.bytes);
    }
  }

  TestHost a{1, 1};
  TestHost b{2, 2};
  ByteVector packet;
};

TEST_F(NeighboursTest, ASolicitationIsAnsweredFromLocationsByTheLocalSwitch) {
  for (const auto target : {guest_ip6(2), wire::link_local_of(guest_mac(2))}) {
    for (const auto source : {guest_ip6(0), wire::link_local_of(guest_mac(0))}) {
      solicit(a, 0, source, target);
      const auto said = answer(a, 0);
      ASSERT_TRUE(said);
      EXPECT_EQ(said->type, Icmpv6Type::neighbour_advertisement);
      EXPECT_EQ(said->target, target);
      EXPECT_EQ(said->link_address, guest_mac(2));
      EXPECT_EQ(wire::read_ipv6(packet)->destination, source);
      EXPECT_TRUE(a.sent.empty());
    }
  }
}

TEST_F(NeighboursTest, TheGatewayIsFoundOnEveryHost) {
  const auto gateway = gateway_mac(kNetworkId);
  for (const auto target : {Ipv6{0xfd123456789abcdeULL, 0x0a4d0001}, wire::link_local_of(gateway)}) {
    solicit(a, 0, guest_ip6(0), target);
    EXPECT_EQ(answer(a, 0)->link_address, gateway);
    solicit(b, 2, guest_ip6(2), target);
    EXPECT_EQ(answer(b, 2)->link_address, gateway);
  }
}

TEST_F(NeighboursTest, WhoAsksWhetherItMayHaveItsOwnAddressHearsNothing) {
  solicit(a, 0, kNobody, guest_ip6(0));
  solicit(a, 0, kNobody, wire::link_local_of(guest_mac(0)));
  expect_nothing();
  EXPECT_EQ(a.drops(Drop::needless), 2U);
}

TEST_F(NeighboursTest, WhoAsksForAnothersAddressHearsThatItIsTaken) {
  for (const auto target : {guest_ip6(2), wire::link_local_of(guest_mac(2))}) {
    solicit(a, 0, kNobody, target);
    EXPECT_EQ(answer(a, 0)->link_address, guest_mac(2));
    EXPECT_EQ(wire::read_ipv6(packet)->destination, wire::kAllNodes);
  }
}

TEST_F(NeighboursTest, NobodyAnswersForAnAddressThatNobodyHasOrForAMemberThatIsNowhere) {
  solicit(a, 0, guest_ip6(0), guest_ip6(4));
  solicit(a, 0, guest_ip6(0), {0xfd123456789abcdeULL, 0x0a4d0099});
  solicit(a, 0, guest_ip6(0), {0xfd123456789abcdeULL, 1ULL << 32U | guest_ip(2).bits});
  solicit(a, 0, guest_ip6(0), wire::link_local_of({0x026700000099}));
  expect_nothing();
  EXPECT_EQ(a.drops(Drop::unknown_destination), 4U);
}

TEST_F(NeighboursTest, APrivateLinkLocalAddressIsFoundByAskingTheMembers) {
  solicit(a, 0, kNobody, kPrivate);  // everybody may object
  pass_on(a, b);
  EXPECT_EQ(b.delivered.size(), 1U);
  a.delivered.clear();
  b.delivered.clear();
  solicit(b, 2, guest_ip6(2), kPrivate);
  pass_on(b, a);
  ASSERT_EQ(a.delivered.size(), 2U);  // both guests of the host
  a.delivered.clear();
  advertise(a, 0, guest_mac(2), guest_ip6(2), kPrivate);
  pass_on(a, b);
  EXPECT_EQ(answer(b, 2)->link_address, guest_mac(0));
}

TEST_F(NeighboursTest, APrivateLinkLocalAddressIsDefendedAndNotTakenFromItsOwner) {
  solicit(a, 0, kNobody, kPrivate);
  a.sent.clear();
  a.delivered.clear();
  advertise(a, 0, wire::multicast_mac(wire::kAllNodes), wire::kAllNodes, kPrivate);
  EXPECT_EQ(a.sent.size(), 2U);
  a.sent.clear();
  a.delivered.clear();
  advertise(a, 1, guest_mac(0), guest_ip6(0), kPrivate);
  expect_nothing();
  EXPECT_EQ(a.drops(Drop::spoofed_ip), 1U);
}

TEST_F(NeighboursTest, APortRemembersTheNewestFewOfItsPrivateAddresses) {
  LinkLocals list;
  for (std::uint64_t i = 1; i <= kMostLinkLocals + 1; ++i) list.add({kPrivate.high, i});
  EXPECT_FALSE(list.has({kPrivate.high, 1}));
  EXPECT_TRUE(list.has({kPrivate.high, 2}));
  EXPECT_TRUE(list.has({kPrivate.high, kMostLinkLocals + 1}));
  EXPECT_FALSE(list.has({}));
}

TEST_F(NeighboursTest, AnIpv6FrameReachesTheMemberOnAnotherHostAndNobodyElse) {
  const auto frame = ipv6_frame(guest_mac(2), guest_mac(0), guest_ip6(2), guest_ip6(0), 17, udp(5, 9));
  a.from_guest(kNow, 0, frame);
  ASSERT_EQ(a.sent.size(), 1U);
  pass_on(a, b);
  ASSERT_EQ(b.delivered.size(), 1U);
  EXPECT_EQ(b.delivered[0].frame, frame);
}

TEST_F(NeighboursTest, AnotherGuestsIpv6AddressesAreNotHeard) {
  for (const auto source : {guest_ip6(2), wire::link_local_of(guest_mac(2)), Ipv6{0x2001ULL << 48U, 1},
                            wire::link_local_of(gateway_mac(kNetworkId)), kNobody}) {
    a.from_guest(kNow, 0, ipv6_frame(guest_mac(1), guest_mac(0), guest_ip6(1), source, 17, udp(5, 9)));
  }
  advertise(a, 0, guest_mac(1), guest_ip6(1), guest_ip6(2));
  expect_nothing();
  EXPECT_EQ(a.drops(Drop::spoofed_ip), 6U);
  a.from_guest(kNow, 0,
               ipv6_frame(guest_mac(1), guest_mac(0), guest_ip6(1), guest_ip6(0), wire::kIcmpv6,
                          icmpv6(Icmpv6Type::neighbour_solicitation, guest_ip6(1), guest_mac(2))));
  expect_nothing();
  EXPECT_EQ(a.drops(Drop::spoofed_mac), 1U);
}

TEST_F(NeighboursTest, AGuestIsNoRouterHoweverItHidesIt) {
  const auto group = wire::multicast_mac(wire::kAllNodes);
  const auto source = wire::link_local_of(guest_mac(0));
  for (const auto type : {Icmpv6Type::router_advertisement, Icmpv6Type::redirect}) {
    const auto message = icmpv6(type, kNobody);
    a.from_guest(kNow, 0, ipv6_frame(group, guest_mac(0), wire::kAllNodes, source, wire::kIcmpv6, message));
    for (const std::uint8_t extension : {std::uint8_t{0}, std::uint8_t{43}, std::uint8_t{60}}) {
      ByteVector hidden(8);
      hidden[0] = std::byte{wire::kIcmpv6};
      append(hidden, message);
      a.from_guest(kNow, 0, ipv6_frame(group, guest_mac(0), wire::kAllNodes, source, extension, hidden));
    }
    ByteVector first(8);
    first[0] = std::byte{wire::kIcmpv6};
    first[3] = std::byte{1};  // more follow
    append(first, message);
    a.from_guest(kNow, 0, ipv6_frame(group, guest_mac(0), wire::kAllNodes, source, 44, first));
  }
  expect_nothing();
  EXPECT_EQ(a.drops(Drop::not_a_router), 10U);
  // A first fragment that ends before what it is.
  ByteVector cut(8);
  cut[0] = std::byte{60};
  cut[3] = std::byte{1};
  append(cut, ByteVector(8));
  cut[8] = std::byte{17};
  a.from_guest(kNow, 0, ipv6_frame(group, guest_mac(0), wire::kAllNodes, source, 44, cut));
  expect_nothing();
  EXPECT_EQ(a.drops(Drop::malformed), 1U);
}

TEST_F(NeighboursTest, AGuestIsNoDhcpServer) {
  const auto source = wire::link_local_of(guest_mac(0));
  a.from_guest(kNow, 0, ipv6_frame(guest_mac(1), guest_mac(0), guest_ip6(1), source, 17, udp(547, 546)));
  a.from_guest(kNow, 0, ipv4_frame(guest_mac(1), guest_mac(0), guest_ip(1), guest_ip(0), "offer", 68));
  expect_nothing();
  EXPECT_EQ(a.drops(Drop::not_a_server), 2U);
}

TEST_F(NeighboursTest, WhoLooksForARouterOrForDhcpv6FindsTheLocalGatewayAlone) {
  const auto source = wire::link_local_of(guest_mac(0));
  const Ipv6 servers{0xff02000000000000ULL, 0x10002};
  a.from_guest(kNow, 0,
               ipv6_frame(wire::multicast_mac(kAllRouters), guest_mac(0), kAllRouters, source, wire::kIcmpv6,
                          icmpv6(Icmpv6Type::router_solicitation, kNobody)));
  a.from_guest(kNow, 0, ipv6_frame(wire::multicast_mac(servers), guest_mac(0), servers, source, 17, udp(546, 547)));
  EXPECT_TRUE(a.sent.empty());
  ASSERT_EQ(a.delivered.size(), 2U);
  for (const auto& each : a.delivered) EXPECT_EQ(each.instance, "");
}

TEST_F(NeighboursTest, WhatAPortSendsToGroupsIsLimitedAndComesBackWithTime) {
  const Ipv6 mdns{0xff02000000000000ULL, 0xfb};
  const auto send = [&](TimePoint now, unsigned guest) {
    a.from_guest(now, guest,
                 ipv6_frame(wire::multicast_mac(mdns), guest_mac(guest), mdns, wire::link_local_of(guest_mac(guest)),
                            17, udp(5353, 5353)));
  };
  for (std::uint32_t i = 0; i < 2 * kGroupBurst; ++i) send(kNow, 0);
  EXPECT_EQ(a.drops(Drop::too_many_to_groups), kGroupBurst);
  EXPECT_EQ(a.sent.size(), std::size_t{2} * kGroupBurst);  // to both other hosts
  send(kNow, 1);                                           // a neighbour pays nothing for it
  EXPECT_EQ(a.drops(Drop::too_many_to_groups), kGroupBurst);
  for (std::uint32_t i = 0; i < 2 * kGroupFrames; ++i) send(kNow + Seconds{1}, 0);
  EXPECT_EQ(a.drops(Drop::too_many_to_groups), kGroupBurst + kGroupFrames);
}

}  // namespace
}  // namespace godwit::overlay::testing
