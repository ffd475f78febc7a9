#include "wire/ethernet.h"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

TEST(Ethernet, AddressesReadAsTheyAreWritten) {
  EXPECT_EQ(to_string(*parse_mac("02:67:AB:00:00:01")), "02:67:ab:00:00:01");
  EXPECT_EQ(to_string(*parse_ipv4("10.77.0.11")), "10.77.0.11");
  EXPECT_TRUE(parse_ipv4_prefix("10.77.0.0/24")->contains(*parse_ipv4("10.77.0.255")));
  EXPECT_FALSE(parse_ipv4_prefix("10.77.0.0/24")->contains(*parse_ipv4("10.77.1.0")));
}

TEST(Ethernet, RefusesWhatIsNoAddress) {
  for (const auto* text :
       {"", "02:67", "02:67:00:00:00:0g", "02-67-00-00-00-01", "02:67:00:00:00:001", "+2:67:00:00:00:01"}) {
    EXPECT_FALSE(parse_mac(text)) << text;
  }
  for (const auto* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1..2.3", "-1.2.3.4", "1.2.3.4 ", "0001.2.3.4"}) {
    EXPECT_FALSE(parse_ipv4(text)) << text;
  }
  for (const auto* text : {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "/24"})
    EXPECT_FALSE(parse_ipv4_prefix(text)) << text;
}

TEST(Ethernet, AnArpFrameReadsBack) {
  const Mac from{0x026700000001};
  const Mac to{0x026700000002};
  const auto frame =
      arp_frame({to, from, EtherType::arp}, {ArpOperation::reply, from, Ipv4{0x0a4d000b}, to, Ipv4{0x0a4d000c}});
  EXPECT_EQ(to_hex(frame),
            "026700000002026700000001"
            "0806"
            "00010800060400020267000000010a4d000b0267000000020a4d000c");
  const auto arp = read_arp(ByteView(frame).subspan(kEthernetHeader));
  ASSERT_TRUE(arp);
  EXPECT_EQ(arp->operation, ArpOperation::reply);
  EXPECT_EQ(arp->sender_mac, from);
  EXPECT_EQ(arp->target_ip, Ipv4{0x0a4d000c});
  EXPECT_FALSE(read_arp(ByteView(frame).subspan(kEthernetHeader + 1)));
}

TEST(Ethernet, FindsThePortsOfUdpBehindOptionsButNotInFragments) {
  auto packet = *from_hex(
      "46000024000000004011000000000000ffffffff"
      "01010101"
      "00440043000c0000");
  ASSERT_TRUE(read_ipv4(packet));
  EXPECT_EQ(read_ipv4(packet)->udp_destination_port, 67);
  packet[7] = std::byte{1};
  EXPECT_EQ(read_ipv4(packet)->udp_destination_port, 0);
  packet[0] = std::byte{0x4f};
  EXPECT_FALSE(read_ipv4(packet));
}

}  // namespace
}  // namespace godwit::wire
