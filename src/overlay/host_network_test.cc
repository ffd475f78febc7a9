#include "overlay/host_network.h"

#include "overlay/headers.h"
#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kNow{Seconds{1000}};
constexpr sys::PortHandle kDevice = 5000;
constexpr std::uint16_t kOpen = 7402;
constexpr std::uint16_t kClosed = 22;
constexpr unsigned kSyn = 0x02;
constexpr unsigned kAck = 0x10;

HostAddress address_of(unsigned host) { return crypto::host_address(host_key(host)); }

// TCP from host to host, as the kernel puts it into a device that resolves no neighbours.
ByteVector tcp(const HostAddress& to, const HostAddress& from, std::uint16_t port, unsigned flags,
               std::string_view text = "") {
  ByteVector ip(60);
  const ByteSpan at(ip);
  ip[0] = std::byte{0x60};
  store_be16(at.subspan(4), static_cast<std::uint16_t>(20 + text.size()));
  ip[6] = std::byte{kTcp};
  std::ranges::copy(from, ip.begin() + 8);
  std::ranges::copy(to, ip.begin() + 24);
  store_be16(at.subspan(40), 40'000);
  store_be16(at.subspan(42), port);
  ip[52] = std::byte{0x50};
  ip[53] = static_cast<std::byte>(flags);
  append(ip, as_bytes(text));
  return ethernet({HostNetwork::kMac}, {HostNetwork::kMac}, wire::EtherType::ipv6, ip);
}

// Two hosts that no network joins: the first dials the second.
class HostNetworkTest : public ::testing::Test {
 protected:
  HostNetworkTest() {
    for (auto* each : {&dialler, &dialled}) {
      wire::SwitchConfig config{
          "cloud", host_name(each->number()), {}, host_record(each->number()), {{"cloud", test_cloud().pem}}};
      const unsigned other = 3 - each->number();  // the second knows the first by its handshake: see Hosts::introduce()
      config.peers = {{fmt::format("10.1.0.{}", other), 4790, host_record(other)}};
      config.host_ports = {kOpen};
      EXPECT_TRUE(each->core().configure(kNow, config));
      each->core().attach({}, kDevice);
    }
  }
  // What the host's device gets of what the other sent.
  std::vector<ByteVector> carried(TestHost& from, TestHost& to) {
    for (const auto& each : std::exchange(from.sent, {})) to.from_underlay(kNow, each.from, each.bytes);
    std::vector<ByteVector> out;
    for (auto& each : std::exchange(to.delivered, {})) out.push_back(std::move(each.frame));
    return out;
  }

  TestHost dialler{1, 1};
  TestHost dialled{2, 2};
};

TEST_F(HostNetworkTest, AConnectionReachesAnOpenPortAndItsAnswerComesBack) {
  const auto syn = tcp(address_of(2), address_of(1), kOpen, kSyn);
  dialler.from_device(kNow, kDevice, syn);
  EXPECT_EQ(carried(dialler, dialled), std::vector<ByteVector>{syn});
  const auto answer = tcp(address_of(1), address_of(2), 40'000, kSyn | kAck);
  dialled.from_device(kNow, kDevice, answer);
  EXPECT_EQ(carried(dialled, dialler), std::vector<ByteVector>{answer});
}

TEST_F(HostNetworkTest, NobodyGetsInAtAPortThatIsNotForOthers) {
  dialler.from_device(kNow, kDevice, tcp(address_of(2), address_of(1), kClosed, kSyn));
  EXPECT_TRUE(carried(dialler, dialled).empty());
  EXPECT_EQ(dialled.drops(Drop::not_open), 1U);
}

TEST_F(HostNetworkTest, AHostSpeaksWithNoAddressButItsOwn) {
  dialler.from_device(kNow, kDevice, tcp(address_of(2), address_of(3), kOpen, kSyn));
  EXPECT_EQ(dialler.drops(Drop::spoofed_ip), 1U);
  // One whose switch lets it.
  const auto lie = tcp(address_of(2), address_of(3), kOpen, kSyn);
  dialler.from_device(kNow, kDevice, tcp(address_of(2), address_of(1), kOpen, kSyn));
  static_cast<void>(carried(dialler, dialled));
  dialled.record(kNow, 1, {RecordKind::frame, 0, HostNetwork::kVni, lie.size(), {}}, lie);
  EXPECT_TRUE(dialled.delivered.empty());
  EXPECT_EQ(dialled.drops(Drop::spoofed_ip), 1U);
}

TEST_F(HostNetworkTest, OnlyTcpPasses) {
  auto udp = tcp(address_of(2), address_of(1), kOpen, kSyn);
  udp[14 + 6] = std::byte{kUdp};
  dialler.from_device(kNow, kDevice, udp);
  dialler.from_device(kNow, kDevice, ethernet({0x333300000002}, {HostNetwork::kMac}, wire::EtherType::arp, {}));
  EXPECT_TRUE(dialler.sent.empty());
}

TEST_F(HostNetworkTest, WhoIsNeitherDialledNorDialsIsNotThere) {
  dialler.from_device(kNow, kDevice, tcp(address_of(3), address_of(1), kOpen, kSyn));
  EXPECT_TRUE(dialler.sent.empty());
  EXPECT_EQ(dialler.drops(Drop::unknown_destination), 1U);
}

TEST_F(HostNetworkTest, ASuperFrameCrossesWhole) {
  auto frame = tcp(address_of(2), address_of(1), kOpen, kAck, std::string(40'000, 'x'));
  const sys::Offload offload{true, static_cast<std::uint8_t>(sys::Gso::tcp6), 74, 1440, 54, kTcpChecksumAt};
  dialler.from_device(kNow, kDevice, frame, offload);
  for (const auto& each : std::exchange(dialler.sent, {})) dialled.from_underlay(kNow, each.from, each.bytes);
  ASSERT_EQ(dialled.delivered.size(), 1U);
  EXPECT_EQ(dialled.delivered[0].frame, frame);
  EXPECT_EQ(dialled.delivered[0].offload, offload);
}

TEST_F(HostNetworkTest, ARestartedSwitchKnowsWhomItsHostDials) {
  TestHost again{1, 3};
  ASSERT_TRUE(again.core().configure(kNow, dialler.core().state()));
  again.core().attach({}, kDevice);
  again.from_device(kNow, kDevice, tcp(address_of(2), address_of(1), kOpen, kSyn));
  EXPECT_EQ(again.sent.size(), 1U);
}

}  // namespace
}  // namespace godwit::overlay::testing
