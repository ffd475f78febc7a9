#include "overlay/flow_sampler.h"

#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

using namespace testing;

ByteVector tcp_frame(std::uint16_t source_port, std::uint16_t destination_port) {
  auto frame = guest_frame(0, 1, "0123456789abcdef0123456789");
  frame[23] = std::byte{6};
  store_be16(ByteSpan(frame).subspan(34), source_port);
  store_be16(ByteSpan(frame).subspan(36), destination_port);
  return frame;
}

TEST(Flow, IsReadFromIpv4AndIpv6) {
  const auto v4 = read_flow(kVni, tcp_frame(40000, 22));
  ASSERT_TRUE(v4);
  EXPECT_EQ(protocol_of(*v4), "tcp");
  EXPECT_EQ(source_of(*v4), to_string(guest_ip(0)));
  EXPECT_EQ(destination_of(*v4), to_string(guest_ip(1)));
  EXPECT_EQ(v4->source_port, 40000);
  EXPECT_EQ(v4->destination_port, 22);

  ByteVector ip(48);
  ip[0] = std::byte{0x60};
  ip[6] = std::byte{17};
  ip[8] = std::byte{0xfe};
  ip[9] = std::byte{0x80};
  ip[23] = std::byte{1};
  ip[24] = std::byte{0xff};
  ip[25] = std::byte{0x02};
  ip[39] = std::byte{0xfb};
  store_be16(ByteSpan(ip).subspan(40), 5353);
  store_be16(ByteSpan(ip).subspan(42), 5353);
  const auto v6 = read_flow(kVni, ethernet(guest_mac(1), guest_mac(0), wire::EtherType::ipv6, ip));
  ASSERT_TRUE(v6);
  EXPECT_EQ(protocol_of(*v6), "udp");
  EXPECT_EQ(source_of(*v6), "fe80::1");
  EXPECT_EQ(destination_of(*v6), "ff02::fb");
  EXPECT_EQ(v6->destination_port, 5353);
}

TEST(Flow, OfALaterFragmentHasNoPortsAndWhatIsNoIpIsNone) {
  auto fragment = tcp_frame(1, 2);
  store_be16(ByteSpan(fragment).subspan(20), 0x2005);
  EXPECT_EQ(read_flow(kVni, fragment)->source_port, 0);
  const auto arp = wire::arp_frame({wire::kBroadcastMac, guest_mac(0), wire::EtherType::arp}, {});
  EXPECT_FALSE(read_flow(kVni, arp));
  for (std::size_t size = 0; size < 34; ++size) EXPECT_FALSE(read_flow(kVni, ByteView(tcp_frame(1, 2)).first(size)));
  auto lying = tcp_frame(1, 2);
  lying[14] = std::byte{0x4f};  // a header longer than the packet
  EXPECT_FALSE(read_flow(kVni, ByteView(lying).first(50)));
}

TEST(FlowSampler, EstimatesWithinAFewPercentWhatItDoesNotCount) {
  SeededRandom random(5);
  FlowSampler sampler(random);
  constexpr std::size_t kPackets = 1'000'000;
  const auto heavy = tcp_frame(1, 80);
  const auto light = tcp_frame(2, 80);
  for (std::size_t i = 0; i < kPackets; ++i) sampler.see(kVni, i % 10 == 0 ? light : heavy, 1, 1000);
  const auto flows = sampler.take(10);
  ASSERT_EQ(flows.size(), 2U);
  EXPECT_EQ(flows[0].key, *read_flow(kVni, heavy));
  EXPECT_NEAR(static_cast<double>(flows[0].traffic.frames), 0.9 * kPackets, 0.02 * kPackets);
  EXPECT_NEAR(static_cast<double>(flows[1].traffic.frames), 0.1 * kPackets, 0.02 * kPackets);
  EXPECT_EQ(flows[0].traffic.bytes, flows[0].traffic.frames * 1000);
  EXPECT_TRUE(sampler.take(10).empty());
}

TEST(FlowSampler, OfASuperFrameEverySegmentIsAPacket) {
  SeededRandom random(6);
  FlowSampler sampler(random);
  constexpr std::size_t kFrames = 20'000;
  for (std::size_t i = 0; i < kFrames; ++i) sampler.see(kVni, tcp_frame(1, 80), 45, 45 * 1500);
  const auto flows = sampler.take(10);
  ASSERT_EQ(flows.size(), 1U);
  EXPECT_NEAR(static_cast<double>(flows[0].traffic.frames), 45.0 * kFrames, 0.02 * 45 * kFrames);
  EXPECT_EQ(flows[0].traffic.bytes, flows[0].traffic.frames * 1500);
}

TEST(FlowSampler, HoldsSoManyFlowsAndGivesTheLargest) {
  SeededRandom random(7);
  FlowSampler sampler(random);
  for (std::uint32_t i = 0; i < 40'000; ++i) {
    sampler.see(kVni, tcp_frame(static_cast<std::uint16_t>(i), 80), 200, i < 100 ? 300'000 : 20'000);
  }
  const auto flows = sampler.take(8);
  ASSERT_EQ(flows.size(), 8U);
  for (const auto& each : flows) EXPECT_LT(each.key.source_port, 100);
}

}  // namespace
}  // namespace godwit::overlay
