#include "wire/ipv6.h"

#include "wire/network.h"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

ByteVector packet_of(std::string_view hex) { return *from_hex(hex); }

constexpr std::string_view kAddresses =
    "fe800000000000000067fffe00000001"
    "ff0200000000000000000001ff000002";

// Next header, and what follows the addresses.
ByteVector packet(std::string_view next, std::string_view hop_limit, std::string_view rest) {
  return packet_of(fmt::format("60000000{:04x}{}{}{}{}", rest.size() / 2, next, hop_limit, kAddresses, rest));
}

TEST(Ipv6, AddressesReadAsTheyAreWritten) {
  for (const auto* text : {"::", "fe80::67:ff:fe00:1", "fd12:3456:789a:bcde::a4d:b"}) {
    EXPECT_EQ(to_string(*parse_ipv6(text)), text);
  }
  for (const auto* text : {"", "1::2::3", "10.0.0.1", "fe80::1%eth0", "::/0", "::1 "})
    EXPECT_FALSE(parse_ipv6(text)) << text;
  for (const auto* text : {"fd00::", "fd00::/", "fd00::/129", "fd00::/1x", "/64"}) {
    EXPECT_FALSE(parse_ipv6_prefix(text)) << text;
  }
}

TEST(Ipv6, APrefixHasWhatItsLengthSays) {
  for (const auto* text : {"::/0", "fd00::/8", "fd12:3456::/64", "fd12:3456::a00:0/104", "fd12:3456::a4d:1/128"}) {
    EXPECT_TRUE(parse_ipv6_prefix(text)->contains(*parse_ipv6("fd12:3456::a4d:1"))) << text;
  }
  for (const auto* text : {"fe00::/8", "fd12:3457::/64", "fd12:3456::b00:0/104", "fd12:3456::a4d:2/128"}) {
    EXPECT_FALSE(parse_ipv6_prefix(text)->contains(*parse_ipv6("fd12:3456::a4d:1"))) << text;
  }
}

TEST(Ipv6, ALinkLocalAddressAndItsMacGiveEachOther) {
  const Mac mac{0x026700000001};
  EXPECT_EQ(to_string(link_local_of(mac)), "fe80::67:ff:fe00:1");
  EXPECT_EQ(mac_of_link_local(link_local_of(mac)), mac);
  EXPECT_FALSE(mac_of_link_local(*parse_ipv6("fe80::1234:5678:9abc:def0")));
  EXPECT_FALSE(mac_of_link_local(*parse_ipv6("fd00::67:ff:fe00:1")));
}

TEST(Ipv6, ANetworkHasAPrefixOfItsOwnAndMembersTheirIpv4AddressInIt) {
  const auto text = derive_cidr6("net-00000000000000001");
  EXPECT_EQ(text, derive_cidr6("net-00000000000000001"));
  EXPECT_NE(text, derive_cidr6("net-00000000000000002"));
  const auto prefix = parse_ipv6_prefix(text);
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->length, 64U);
  EXPECT_EQ(prefix->address.high >> 56U, 0xfdU);
  const Ipv6Prefix network{*parse_ipv6("fd12:3456:789a:bcde::"), 64};
  EXPECT_EQ(to_string(member_address(network, *parse_ipv4("10.77.0.11"))), "fd12:3456:789a:bcde::a4d:b");
}

TEST(Ipv6, ExtensionHeadersAreFollowedAndCounted) {
  const auto ip = read_ipv6(packet("00", "40",
                                   "3c00000000000000"
                                   "3a01000000000000"
                                   "0000000000000000"
                                   "8000"));
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->protocol, kIcmpv6);
  EXPECT_EQ(ip->payload, kIpv6Header + 24);
  std::string many;
  for (std::size_t i = 0; i <= kMostExtensions; ++i) many += "3c00000000000000";
  EXPECT_FALSE(read_ipv6(packet("3c", "40", many)));
  EXPECT_FALSE(read_ipv6(packet("3c", "40", "3aff000000000000")));  // longer than what is there
  EXPECT_FALSE(read_ipv6(packet("2c", "40", "3a00")));
}

TEST(Ipv6, WhatIsBehindALaterFragmentsHeaderIsNotReadAsAHeader) {
  const auto later = read_ipv6(packet("2c", "40",
                                      "3c0005a800000007"
                                      "ffff"));
  ASSERT_TRUE(later);
  EXPECT_TRUE(later->fragment);
  EXPECT_EQ(later->fragment_at, 181U);
  EXPECT_EQ(later->fragment_id, 7U);
  EXPECT_EQ(later->payload, kIpv6Header + 8);
  const auto alone = read_ipv6(packet("2c", "40",
                                      "3a00000000000007"
                                      "8000"));  // an atomic one
  ASSERT_TRUE(alone);
  EXPECT_FALSE(alone->fragment);
}

constexpr std::string_view kSolicitation = "8700000000000000fe80000000000000026700fffe000002";

TEST(Ipv6, ASolicitationIsReadAndOneThatCameFromFartherIsNot) {
  const auto bytes = packet("3a", "ff", fmt::format("{}0101026700000001", kSolicitation));
  const auto message = read_neighbour_message(*read_ipv6(bytes), bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, Icmpv6Type::neighbour_solicitation);
  EXPECT_EQ(to_string(message->target), "fe80::267:ff:fe00:2");
  EXPECT_EQ(message->link_address, Mac{0x026700000001});
  const auto refused = [](const ByteVector& each) { return !read_neighbour_message(*read_ipv6(each), each); };
  EXPECT_TRUE(refused(packet("3a", "fe", kSolicitation)));
  EXPECT_TRUE(refused(packet("3a", "ff", kSolicitation.substr(0, 40))));
  EXPECT_TRUE(refused(packet("3a", "ff", fmt::format("{}0100000000000000", kSolicitation))));  // an option of no length
  EXPECT_TRUE(refused(packet("3a", "ff",
                             "870000000000000"
                             "0ff020000000000000000000000000001")));
  EXPECT_TRUE(refused(packet("2c", "ff", fmt::format("3a00000100000007{}", kSolicitation))));
}

TEST(Ipv6, AnAdvertisementReadsBack) {
  const Mac owner{0x026700000002};
  const auto frame = advertisement_frame({0x026700000001}, *parse_ipv6("fd00::a4d:a"),
                                         {*parse_ipv6("fd00::a4d:b"), owner, false, true});
  EXPECT_EQ(to_hex(frame),
            "02670000000102670000000286dd"
            "6000000000203aff"
            "fd00000000000000000000000a4d000b"
            "fd00000000000000000000000a4d000a"
            "8800fd3060000000"
            "fd00000000000000000000000a4d000b"
            "0201026700000002");
  const auto bytes = ByteView(frame).subspan(kEthernetHeader);
  const auto message = read_neighbour_message(*read_ipv6(bytes), bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, Icmpv6Type::neighbour_advertisement);
  EXPECT_EQ(message->link_address, owner);
}

}  // namespace
}  // namespace godwit::wire
