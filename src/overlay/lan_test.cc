// One host joins the network to a LAN: host 1. Guest 0 is there, guest 1 on host 2, which has no LAN.
#include "overlay/lan.h"

#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kNow{Seconds{1000}};
constexpr sys::PortHandle kLan = 2000;
const wire::Mac kPrinter{0x0050b6000001ULL};  // a machine of the LAN
const wire::Ipv4 kPrinterIp{0x0a4d00c8U};
const std::string kLanName = instance_id(kLan - 1);  // as TestHost calls that device

ByteVector arp(wire::Mac to, wire::ArpOperation operation, wire::Mac sender, wire::Ipv4 sender_ip, wire::Ipv4 target) {
  const auto frame = wire::arp_frame({to, sender, wire::EtherType::arp}, {operation, sender, sender_ip, {}, target});
  return {frame.begin(), frame.end()};
}
ByteVector printer_asks(wire::Ipv4 target) {
  return arp(wire::kBroadcastMac, wire::ArpOperation::request, kPrinter, kPrinterIp, target);
}

class LanTest : public ::testing::Test {
 protected:
  LanTest() {
    configure({1, 2});
    a.core().attach({kNetworkId, kLanPort}, kLan);
    a.poll(kNow + Seconds{10});  // what a LAN hears at first
    a.poll(kNow + Seconds{12});
    a.delivered.clear();
    a.sent.clear();
  }
  void configure(const std::vector<unsigned>& places) {
    auto network = network_of(places);
    network.uplink = location_at(1, 0);
    auto joined = a.config(network, {{0, 1}});
    joined.networks[0].lan_device = "eth1";
    EXPECT_TRUE(a.core().configure(kNow, joined));
    a.attach(0, 1);
    EXPECT_TRUE(b.configure(kNow, network, {{1, 1}}));
  }
  void pass_on(TimePoint now = kNow) {
    for (const auto& each : std::exchange(a.sent, {})) b.from_underlay(now, each.from, each.bytes);
    for (const auto& each : std::exchange(b.sent, {})) a.from_underlay(now, each.from, each.bytes);
  }
  static wire::Arp arp_of(const Delivered& delivered) {
    return wire::read_arp(ByteView(delivered.frame).subspan(wire::kEthernetHeader)).value_or(wire::Arp{});
  }
  [[nodiscard]] static std::vector<Delivered> to(const TestHost& host, const std::string& name) {
    std::vector<Delivered> out;
    std::ranges::copy_if(host.delivered, std::back_inserter(out),
                         [&](const auto& each) { return each.instance == name; });
    return out;
  }

  TestHost a{1, 1};
  TestHost b{2, 2};
};

TEST_F(LanTest, ItsHostAnswersForMembersWhereverTheyRun) {
  for (const unsigned guest : {0U, 1U}) {
    a.delivered.clear();
    a.from_device(kNow, kLan, printer_asks(guest_ip(guest)));
    ASSERT_EQ(a.delivered.size(), 1U) << guest;
    EXPECT_EQ(a.delivered[0].instance, kLanName);
    EXPECT_EQ(arp_of(a.delivered[0]).sender_mac, guest_mac(guest));
    EXPECT_EQ(arp_of(a.delivered[0]).operation, wire::ArpOperation::reply);
  }
  EXPECT_TRUE(a.sent.empty());
}

TEST_F(LanTest, WhatTheLansOwnSayToEachOtherStaysThere) {
  a.from_device(kNow, kLan, printer_asks({0x0a4d00c9U}));
  a.from_device(kNow, kLan, ipv4_frame({0x0050b6000002ULL}, kPrinter, {0x0a4d00c9U}, kPrinterIp, "x"));
  a.from_device(kNow, kLan, ipv4_frame(wire::kBroadcastMac, kPrinter, {0xffffffffU}, {0}, "discover", 67));
  a.from_device(kNow, kLan, ipv4_frame(wire::kBroadcastMac, kPrinter, {0xffffffffU}, kPrinterIp, "offer", 68));
  EXPECT_TRUE(a.sent.empty());
  EXPECT_TRUE(a.delivered.empty());
}

TEST_F(LanTest, FramesCrossBothWaysToAMemberThatIsElsewhere) {
  a.from_device(kNow, kLan, ipv4_frame(guest_mac(1), kPrinter, guest_ip(1), kPrinterIp, "hello"));
  pass_on();
  ASSERT_EQ(to(b, instance_id(1)).size(), 1U);
  const auto answer = ipv4_frame(kPrinter, guest_mac(1), kPrinterIp, guest_ip(1), "answer");
  b.from_guest(kNow, 1, answer);
  pass_on();
  ASSERT_EQ(to(a, kLanName).size(), 1U);
  EXPECT_EQ(to(a, kLanName)[0].frame, answer);
}

TEST_F(LanTest, AMemberElsewhereFindsTheLansMachines) {
  b.from_guest(kNow, 1, arp(wire::kBroadcastMac, wire::ArpOperation::request, guest_mac(1), guest_ip(1), kPrinterIp));
  pass_on();
  ASSERT_EQ(to(a, kLanName).size(), 1U);
  a.from_device(kNow, kLan, arp(guest_mac(1), wire::ArpOperation::reply, kPrinter, kPrinterIp, guest_ip(1)));
  pass_on();
  ASSERT_EQ(to(b, instance_id(1)).size(), 1U);
  EXPECT_EQ(arp_of(to(b, instance_id(1))[0]).sender_mac, kPrinter);
}

TEST_F(LanTest, GroupsReachTheLanOnceAndTheLansReachAllMembers) {
  const wire::Mac mdns{0x01005e0000fbULL};
  b.from_guest(kNow, 1, ipv4_frame(mdns, guest_mac(1), {0xe00000fbU}, guest_ip(1), "who"));
  pass_on();
  EXPECT_EQ(to(a, kLanName).size(), 1U);
  EXPECT_EQ(to(a, instance_id(0)).size(), 1U);
  a.delivered.clear();
  a.from_device(kNow, kLan, ipv4_frame(mdns, kPrinter, {0xe00000fbU}, kPrinterIp, "me"));
  pass_on();
  EXPECT_EQ(to(a, instance_id(0)).size(), 1U);
  EXPECT_EQ(to(b, instance_id(1)).size(), 1U);
  EXPECT_TRUE(to(a, kLanName).empty());
}

TEST_F(LanTest, NobodyOnTheLanSpeaksAsAMemberOrTheGateway) {
  a.from_device(kNow, kLan, guest_frame(1, 0, "not mine"));
  a.from_device(kNow, kLan, ipv4_frame(guest_mac(0), gateway_mac(kNetworkId), guest_ip(0), kPrinterIp, "not mine"));
  EXPECT_EQ(a.drops(Drop::spoofed_mac), 2U);
  a.from_device(kNow, kLan, ipv4_frame(guest_mac(0), kPrinter, guest_ip(0), guest_ip(1), "not mine"));
  a.from_device(kNow, kLan, arp(guest_mac(0), wire::ArpOperation::reply, kPrinter, guest_ip(1), guest_ip(0)));
  EXPECT_EQ(a.drops(Drop::spoofed_ip), 2U);
  EXPECT_TRUE(a.delivered.empty());
}

// So the LAN's switches send the instance's frames to host 1, wherever its cable was before.
TEST_F(LanTest, TheLanIsToldAfterEachMove) {
  ASSERT_TRUE(b.configure(kNow,
                          [] {
                            auto network = network_of({1, 2});
                            network.uplink = location_at(1, 0);
                            return network;
                          }(),
                          {{0, 0}, {1, 1}}));
  ASSERT_TRUE(b.announce(kNow, 0, 2, 0));
  b.poll(kNow);
  pass_on();
  for (const auto after : {Millis{0}, Millis{250}, Millis{1000}}) {
    a.delivered.clear();
    a.poll(kNow + after);
    ASSERT_EQ(to(a, kLanName).size(), 1U) << after.count();
    const auto told = to(a, kLanName)[0];
    EXPECT_EQ(arp_of(told).sender_mac, guest_mac(0));
    EXPECT_EQ(arp_of(told).sender_ip, arp_of(told).target_ip);
    EXPECT_EQ(wire::read_ethernet(told.frame)->source, guest_mac(0));
  }
}

class LeasedLanTest : public LanTest {
 protected:
  static constexpr std::uint64_t kVersion = 3;
  static constexpr TimePoint kEnd = kNow + Seconds{45};

  LeasedLanTest() { need_lease(a); }
  void need_lease(TestHost& host) {
    auto network = network_of({1, 2});
    network.uplink = location_at(1, kVersion);
    auto joined = a.config(network, {{0, 1}});
    joined.networks[0].lan_device = "eth1";
    joined.networks[0].lan_lease = kVersion;
    EXPECT_TRUE(host.core().configure(kNow, joined));
  }
  void lease(std::uint64_t version, TimePoint until) {
    const auto until_ms = std::chrono::duration_cast<Millis>(until.time_since_epoch()).count();
    a.core().lease(kNow, {{kNetworkId, version, until_ms}});
  }
  // Whether the LAN's machines are heard, and answered, at that moment.
  bool is_joined(TimePoint now) {
    a.delivered.clear();
    a.from_device(now, kLan, printer_asks(guest_ip(1)));
    const bool answers = !a.delivered.empty();
    a.delivered.clear();
    a.from_guest(now, 0, ipv4_frame(kPrinter, guest_mac(0), kPrinterIp, guest_ip(0), "hello"));
    EXPECT_EQ(answers, !to(a, kLanName).empty());
    return answers;
  }
};

TEST_F(LeasedLanTest, WithoutItsLeaseAHostIsNotOnTheLan) {
  EXPECT_FALSE(is_joined(kNow));
  EXPECT_TRUE(a.core().take_lans_changed());
  lease(kVersion - 1, kEnd);
  EXPECT_FALSE(is_joined(kNow)) << "of an earlier time";
  lease(kVersion, kEnd);
  EXPECT_TRUE(is_joined(kNow));
  EXPECT_TRUE(a.core().take_lans_changed());
}

TEST_F(LeasedLanTest, ItEndsByItselfAtItsTimeAlsoWhereNobodyHasLookedAtTheClock) {
  lease(kVersion, kEnd);
  EXPECT_TRUE(is_joined(kEnd - Millis{1}));
  EXPECT_FALSE(is_joined(kEnd));
  EXPECT_LE(a.core().next_deadline(), kEnd) << "its device has to go";
  EXPECT_TRUE(a.core().take_lans_changed());
  a.poll(kEnd);
  EXPECT_TRUE(a.core().take_lans_changed());
}

TEST_F(LeasedLanTest, WhoHasItAgainTellsTheLanWhereAllAre) {
  lease(kVersion, kEnd);
  a.poll(kEnd);
  a.delivered.clear();
  a.core().lease(kEnd, {{kNetworkId, kVersion,
                         std::chrono::duration_cast<Millis>((kEnd + Seconds{45}).time_since_epoch()).count()}});
  a.poll(kEnd);
  EXPECT_EQ(to(a, kLanName).size(), 2U) << "both members";
}

TEST_F(LeasedLanTest, ASwitchThatIsStartedAnewWaitsForItsAgent) {
  lease(kVersion, kEnd);
  TestHost after(1, 5);
  ASSERT_TRUE(after.core().configure(kNow, a.core().state()));
  after.core().attach({kNetworkId, kLanPort}, kLan);
  after.from_device(kNow, kLan, printer_asks(guest_ip(1)));
  EXPECT_EQ(after.drops(Drop::not_attached), 1U);
}

TEST_F(LanTest, WithoutALanUnknownAddressesAreDropped) {
  EXPECT_TRUE(b.configure(kNow, network_of({1, 2}), {{1, 1}}));
  b.from_guest(kNow, 1, ipv4_frame(kPrinter, guest_mac(1), kPrinterIp, guest_ip(1), "anybody"));
  EXPECT_TRUE(b.sent.empty());
  EXPECT_EQ(b.drops(Drop::unknown_destination), 1U);
}

}  // namespace
}  // namespace godwit::overlay::testing
