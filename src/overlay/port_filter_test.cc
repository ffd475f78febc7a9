// Security groups of two members, whose ports are on two hosts, as packets between them find them.
#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

using wire::GroupProtocol;

constexpr TimePoint kStart{Seconds{1000}};
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kFin = 0x11;
constexpr std::uint8_t kReset = 0x04;

wire::GroupRule from_cidr(GroupProtocol protocol, std::uint16_t from, std::uint16_t to, const std::string& cidr) {
  wire::GroupRule rule{protocol, from, to, -1, cidr, {}};
  return rule;
}
wire::GroupRule from_group(GroupProtocol protocol, std::uint16_t port, const std::string& group) {
  return {protocol, port, port, -1, {}, group};
}

ByteVector transport(std::uint8_t protocol, std::uint16_t from, std::uint16_t to, std::uint8_t flags) {
  ByteVector out(protocol == 6 ? 20 : 8);
  store_be16(out, from);
  store_be16(ByteSpan(out).subspan(2), to);
  if (protocol == 6) out[13] = std::byte{flags};
  return out;
}

// An IPv4 packet; `fragment` is that field of its header.
ByteVector ipv4(unsigned from, unsigned to, std::uint8_t protocol, ByteView payload, std::uint16_t fragment = 0) {
  ByteVector ip(20);
  const ByteSpan header(ip);
  ip[0] = std::byte{0x45};
  ip[9] = std::byte{protocol};
  store_be16(header.subspan(2), static_cast<std::uint16_t>(20 + payload.size()));
  store_be16(header.subspan(4), 77);
  store_be16(header.subspan(6), fragment);
  store_be32(header.subspan(12), guest_ip(from).bits);
  store_be32(header.subspan(16), guest_ip(to).bits);
  append(ip, payload);
  return ip;
}

// Guest 0 is a client on host 1, guest 1 a server in group "web" on host 2, guest 2 in "web" too, on host 1; host 3 is
// where somebody may move to.
class SecurityGroupsTest : public ::testing::Test {
 protected:
  SecurityGroupsTest() { use({from_cidr(GroupProtocol::tcp, 22, 22, "10.77.0.0/24")}, wire::open_egress()); }

  void use(const std::vector<wire::GroupRule>& ingress, const std::vector<wire::GroupRule>& egress) {
    network.groups = {{"web", ingress, egress}};
    network.members[1].groups = network.members[2].groups = {"web"};
    EXPECT_TRUE(a.configure(now, network, {{0, 1}, {2, 1}}));
    EXPECT_TRUE(b.configure(now, network, {{1, version}}));
    EXPECT_TRUE(c.configure(now, network, {}));
  }
  TestHost& host_of(unsigned guest) { return guest == 1 ? *server_host : a; }
  // Whether guest `to` gets what guest `from` sends.
  bool crosses(unsigned from, unsigned to, ByteView ip) {
    auto& source = host_of(from);
    auto& destination = host_of(to);
    source.delivered.clear();
    destination.delivered.clear();
    const auto type = (std::to_integer<unsigned>(ip[0]) >> 4U) == 4 ? wire::EtherType::ipv4 : wire::EtherType::ipv6;
    source.from_guest(now, from, ethernet(guest_mac(to), guest_mac(from), type, ip));
    for (const auto& each : std::exchange(source.sent, {})) {
      if (each.to == host_address(destination.number())) destination.from_underlay(now, each.from, each.bytes);
    }
    return std::ranges::any_of(destination.delivered,
                               [&](const Delivered& each) { return each.instance == instance_id(to); });
  }
  bool tcp(unsigned from, unsigned to, std::uint16_t from_port, std::uint16_t to_port, std::uint8_t flags) {
    return crosses(from, to, ipv4(from, to, 6, transport(6, from_port, to_port, flags)));
  }
  bool udp(unsigned from, unsigned to, std::uint16_t from_port, std::uint16_t to_port) {
    return crosses(from, to, ipv4(from, to, 17, transport(17, from_port, to_port, 0)));
  }
  bool echo(unsigned from, unsigned to, bool request, std::uint16_t id) {
    ByteVector message(8);
    message[0] = std::byte{static_cast<unsigned char>(request ? 8 : 0)};
    store_be16(ByteSpan(message).subspan(4), id);
    return crosses(from, to, ipv4(from, to, 1, message));
  }
  // The server runs on host 3 from now on, which has seen none of its packets.
  void move_the_server() {
    network.members[1].location = location_at(3, ++version);
    EXPECT_TRUE(a.configure(now, network, {{0, 1}, {2, 1}}));
    EXPECT_TRUE(b.configure(now, network, {}));
    EXPECT_TRUE(c.configure(now, network, {{1, version}}));
    server_host = &c;
  }
  // A new process: what host 1's knew of connections is gone.
  void restart_the_clients_switch() {
    EXPECT_TRUE(a.core().configure(now, {}));
    EXPECT_TRUE(a.configure(now, network, {{0, 1}, {2, 1}}));
  }

  TimePoint now{kStart};
  std::uint64_t version{1};
  wire::Network network{network_of({1, 2, 1})};
  TestHost a{1, 1};
  TestHost b{2, 2};
  TestHost c{3, 3};
  TestHost* server_host{&b};
};

TEST_F(SecurityGroupsTest, WhatARuleAllowsMayBeginAndIsAnsweredAndNothingElseBegins) {
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kSyn));
  EXPECT_TRUE(tcp(1, 0, 22, 40000, kSyn | kAck));
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kAck));
  EXPECT_FALSE(tcp(0, 1, 40001, 80, kSyn));
  EXPECT_FALSE(udp(0, 1, 40000, 22));
  EXPECT_FALSE(echo(0, 1, true, 7));
  EXPECT_EQ(b.drops(Drop::not_allowed), 3U);
}

TEST_F(SecurityGroupsTest, AMemberOfTheDefaultGroupIsHeardByItsOwnGroupAlone) {
  EXPECT_FALSE(tcp(1, 0, 40000, 9, kSyn));  // the server may send it, the client's group is not open to it
  EXPECT_EQ(a.drops(Drop::not_allowed), 1U);
}

TEST_F(SecurityGroupsTest, WithoutGroupsNothingIsLookedAt) {
  network.members[1].groups.clear();
  network.members[2].groups.clear();
  EXPECT_TRUE(a.configure(now, network, {{0, 1}, {2, 1}}));
  EXPECT_TRUE(b.configure(now, network, {{1, 1}}));
  EXPECT_FALSE(a.core().segments().find(kVni)->filtered());
  EXPECT_TRUE(udp(0, 1, 5, 9));
  EXPECT_TRUE(tcp(1, 0, 5, 9, kAck));
}

TEST_F(SecurityGroupsTest, AGroupsMembersAreWhoeverIsInIt) {
  use({from_group(GroupProtocol::tcp, 5432, "web")}, wire::open_egress());
  EXPECT_TRUE(tcp(2, 1, 40000, 5432, kSyn));
  EXPECT_FALSE(tcp(0, 1, 40000, 5432, kSyn));
}

TEST_F(SecurityGroupsTest, WhatIsOpenedIsOpenAtOnceAndWhatIsClosedEndsNothingThatHasBegun) {
  EXPECT_FALSE(udp(0, 1, 5000, 53));
  use({from_cidr(GroupProtocol::udp, 53, 53, "10.77.0.10/32")}, wire::open_egress());
  EXPECT_TRUE(udp(0, 1, 5000, 53));
  use({}, wire::open_egress());
  EXPECT_TRUE(udp(0, 1, 5000, 53));
  EXPECT_FALSE(udp(0, 1, 5001, 53));
  now += kUdpIdle;
  EXPECT_FALSE(udp(0, 1, 5000, 53));
}

TEST_F(SecurityGroupsTest, WhoMayBeginNothingMayStillAnswer) {
  use({from_cidr(GroupProtocol::udp, 53, 53, "0.0.0.0/0")}, {});
  EXPECT_FALSE(udp(1, 0, 53, 5000));
  EXPECT_TRUE(udp(0, 1, 5000, 53));
  EXPECT_TRUE(udp(1, 0, 53, 5000));
  EXPECT_FALSE(udp(1, 0, 53, 5001));
}

TEST_F(SecurityGroupsTest, AnEchoIsAnsweredAndNotTurnedRound) {
  wire::GroupRule ping{GroupProtocol::icmp, 0, 65535, 8, "10.77.0.0/24", {}};
  use({ping}, wire::open_egress());
  EXPECT_TRUE(echo(0, 1, true, 7));
  EXPECT_TRUE(echo(1, 0, false, 7));
  EXPECT_FALSE(echo(1, 0, true, 7));
  EXPECT_FALSE(echo(0, 1, false, 8));
}

TEST_F(SecurityGroupsTest, AnErrorAboutAConnectionPassesAndOneAboutNoneDoesNot) {
  EXPECT_TRUE(tcp(1, 2, 50000, 22, kSyn));  // among the group, by the rule's CIDR
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kSyn));
  const auto error = [](std::uint16_t port) {
    ByteVector message(8);
    message[0] = std::byte{3};
    append(message, ipv4(1, 0, 6, transport(6, 22, port, kAck)));
    return ipv4(0, 1, 1, message);
  };
  EXPECT_TRUE(crosses(0, 1, error(40000)));
  EXPECT_FALSE(crosses(0, 1, error(40001)));
}

TEST_F(SecurityGroupsTest, FragmentsFollowTheirFirstAndNoneHidesAHeader) {
  use({from_cidr(GroupProtocol::udp, 53, 53, "10.77.0.0/24")}, wire::open_egress());
  const ByteVector rest(64);
  EXPECT_FALSE(crosses(0, 1, ipv4(0, 1, 17, rest, 2)));
  auto first = transport(17, 5000, 53, 0);
  first.resize(16);
  EXPECT_TRUE(crosses(0, 1, ipv4(0, 1, 17, first, 0x2000)));
  EXPECT_TRUE(crosses(0, 1, ipv4(0, 1, 17, rest, 2)));
  now += kFragments;
  EXPECT_FALSE(crosses(0, 1, ipv4(0, 1, 17, rest, 2)));
  // TCP whose flags would come in the second fragment, over the first one's.
  EXPECT_FALSE(crosses(0, 1, ipv4(0, 1, 6, ByteVector(8), 0x2000)));
  EXPECT_FALSE(crosses(0, 1, ipv4(0, 1, 6, rest, 1)));
}

TEST_F(SecurityGroupsTest, Ipv6HasRulesOfItsOwn) {
  const auto syn = [](std::uint16_t port) {
    const auto segment = transport(6, 40000, port, kSyn);
    const auto frame = ipv6_frame(guest_mac(1), guest_mac(0), guest_ip6(1), guest_ip6(0), 6, segment);
    return ByteVector(frame.begin() + wire::kEthernetHeader, frame.end());
  };
  EXPECT_FALSE(crosses(0, 1, syn(22)));
  use({from_cidr(GroupProtocol::tcp, 22, 23, "fd12:3456:789a:bcde::/64")}, wire::open_egress());
  EXPECT_TRUE(crosses(0, 1, syn(22)));
  EXPECT_FALSE(crosses(0, 1, syn(24)));
  EXPECT_FALSE(tcp(0, 1, 40000, 22, kSyn));
}

TEST_F(SecurityGroupsTest, NeighboursAreFoundWhateverGroupsSay) {
  use({}, {});
  const auto arp = wire::arp_frame({wire::kBroadcastMac, guest_mac(1), wire::EtherType::arp},
                                   {wire::ArpOperation::request, guest_mac(1), guest_ip(1), {}, guest_ip(0)});
  b.from_guest(now, 1, arp);
  EXPECT_EQ(b.delivered.size(), 1U);
}

TEST_F(SecurityGroupsTest, AConnectionThatIsOverMustBeginAnew) {
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kSyn));
  EXPECT_TRUE(tcp(1, 0, 22, 40000, kSyn | kAck));
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kFin));
  EXPECT_TRUE(tcp(1, 0, 22, 40000, kFin));
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kAck));
  use({}, wire::open_egress());
  EXPECT_FALSE(tcp(0, 1, 40000, 22, kSyn));
  now += kTcpOpeningOrClosing;
  EXPECT_FALSE(tcp(0, 1, 40000, 22, kAck));
}

TEST_F(SecurityGroupsTest, AResetIsForgottenSoon) {
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kSyn));
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kReset));
  now += kTcpReset;
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kSyn));
  EXPECT_EQ(b.core().segments().find(kVni)->find_port(instance_id(1))->filter->connections().size(), 1U);
}

// ---- where a switch has never heard of the connection

TEST_F(SecurityGroupsTest, AServersConnectionSurvivesItsMoveWhoeverSpeaksFirst) {
  for (const bool client_first : {true, false}) {
    const std::uint16_t port = client_first ? 40000 : 40001;
    EXPECT_TRUE(tcp(0, 1, port, 22, kSyn));
    EXPECT_TRUE(tcp(1, 0, 22, port, kSyn | kAck));
    EXPECT_TRUE(tcp(0, 1, port, 22, kAck));
  }
  move_the_server();
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kAck));
  EXPECT_TRUE(tcp(1, 0, 22, 40000, kAck));
  EXPECT_TRUE(tcp(1, 0, 22, 40001, kAck));
  EXPECT_TRUE(tcp(0, 1, 40001, 22, kAck));
}

TEST_F(SecurityGroupsTest, ADownloadSurvivesTheMoveOfWhoDownloads) {
  // The server's guest is the one that asks here, guest 2's port 22 is open to it.
  use({from_cidr(GroupProtocol::tcp, 22, 22, "10.77.0.0/24")}, wire::open_egress());
  EXPECT_TRUE(tcp(1, 2, 40000, 22, kSyn));
  EXPECT_TRUE(tcp(2, 1, 22, 40000, kSyn | kAck));
  move_the_server();
  // The new host's filter would let nobody begin that; but it is an answer, says the other side's.
  EXPECT_TRUE(tcp(2, 1, 22, 40000, kAck));
  EXPECT_FALSE(tcp(2, 1, 23, 40000, kAck));  // an answer to nothing
}

TEST_F(SecurityGroupsTest, AnAnswerIsBelievedOnlyWhereThePortMightHaveAsked) {
  use({from_cidr(GroupProtocol::tcp, 22, 22, "10.77.0.0/24")}, {});
  const auto frame =
      ethernet(guest_mac(1), guest_mac(0), wire::EtherType::ipv4, ipv4(0, 1, 6, transport(6, 80, 40000, kAck)));
  b.record(now, 1, {RecordKind::frame, kAnswers, kVni, frame.size(), {}}, frame);
  EXPECT_TRUE(b.delivered.empty());
  use({}, wire::open_egress());
  b.record(now, 1, {RecordKind::frame, kAnswers, kVni, frame.size(), {}}, frame);
  EXPECT_EQ(b.delivered.size(), 1U);
  // But what opens a connection is no answer, whoever says so.
  const auto opening =
      ethernet(guest_mac(1), guest_mac(0), wire::EtherType::ipv4, ipv4(0, 1, 6, transport(6, 80, 40001, kSyn)));
  b.record(now, 1, {RecordKind::frame, kAnswers, kVni, opening.size(), {}}, opening);
  EXPECT_EQ(b.delivered.size(), 1U);
}

TEST_F(SecurityGroupsTest, AServerThatMayBeginNothingGoesOnAfterItsMove) {
  use({from_cidr(GroupProtocol::tcp, 22, 22, "10.77.0.0/24")}, {});
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kSyn));
  EXPECT_TRUE(tcp(1, 0, 22, 40000, kSyn | kAck));
  move_the_server();
  EXPECT_TRUE(tcp(1, 0, 22, 40000, kAck));
  EXPECT_FALSE(tcp(1, 0, 22, 40001, kSyn));
}

TEST_F(SecurityGroupsTest, ADownloadSurvivesTheRestartOfASwitch) {
  EXPECT_TRUE(tcp(0, 1, 40000, 22, kSyn));
  EXPECT_TRUE(tcp(1, 0, 22, 40000, kSyn | kAck));
  restart_the_clients_switch();
  EXPECT_TRUE(tcp(1, 0, 22, 40000, kAck));
}

TEST_F(SecurityGroupsTest, AFrameThatWasHeldFollowsItsMemberPastTheFilter) {
  EXPECT_TRUE(tcp(1, 2, 40000, 22, kSyn));
  EXPECT_TRUE(tcp(2, 1, 22, 40000, kSyn | kAck));
  ASSERT_TRUE(b.core().hold(now, {kNetworkId, instance_id(1)}));
  EXPECT_FALSE(tcp(2, 1, 22, 40000, kAck));
  b.sent.clear();
  move_the_server();
  b.poll(now);
  for (const auto& each : std::exchange(b.sent, {})) {
    if (each.to == host_address(3) && carries_a_frame(each)) c.from_underlay(now, each.from, each.bytes);
  }
  ASSERT_EQ(c.delivered.size(), 1U);
  EXPECT_EQ(c.delivered[0].instance, instance_id(1));
}

// ---- bounds

TEST_F(SecurityGroupsTest, APortRemembersNoMoreThanItsShareAndForgetsWhatIsOver) {
  ConnectionBudget budget;
  ConnectionTable table(budget);
  const auto key = [](std::uint32_t i) {
    return ConnectionKey{{}, {0, i >> 16U}, static_cast<std::uint16_t>(i), 9, 17};
  };
  const auto add = [&](std::uint32_t i) {
    auto* known = table.add(now, key(i), true);
    if (known) known->until = now + kUdpIdle;
    return known != nullptr;
  };
  for (std::uint32_t i = 0; i < kMostConnectionsOfPort; ++i) ASSERT_TRUE(add(i));
  EXPECT_FALSE(add(kMostConnectionsOfPort));
  now += kUdpIdle;
  EXPECT_EQ(table.find(now, key(0)), nullptr);
  EXPECT_TRUE(add(kMostConnectionsOfPort));
  EXPECT_EQ(table.size(), 1U);
  EXPECT_EQ(budget.used, 1U);
}

TEST_F(SecurityGroupsTest, WhatAPortRememberedIsGivenBackWithIt) {
  ConnectionBudget budget;
  {
    ConnectionTable table(budget);
    ASSERT_TRUE(table.add(now, {}, true));
    EXPECT_EQ(budget.used, 1U);
  }
  EXPECT_EQ(budget.used, 0U);
}

}  // namespace
}  // namespace godwit::overlay::testing
