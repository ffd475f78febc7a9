#include "lab/wan.h"

#include "base/bytes.h"

#include <gtest/gtest.h>

#include <map>

namespace godwit::lab {
namespace {

constexpr TimePoint kStart{Seconds{1000}};

Ipv4Prefix net(std::string_view text) { return parse_prefix(text).value(); }

WanSetup two_clouds() {
  WanSetup setup;
  setup.ports = {{"cloud-a", "gw-t-ra", "wan0", {net("203.0.113.1"), net("10.101.0.0/24")}},
                 {"cloud-b", "gw-t-rb", "wan0", {net("203.0.113.2"), net("10.102.0.0/24")}}};
  setup.seed = 3;
  setup.table = {{.from = 0, .to = 1, .shape = {.delay = Millis{20}}},
                 {.from = 1, .to = 0, .shape = {.delay = Millis{30}}}};
  return setup;
}

Packet ip_packet(std::string_view source, std::string_view destination) {
  auto packet = std::make_unique<Slot>();
  packet->size = 40;
  packet->bytes[0] = std::byte{0x45};
  store_be32(ByteSpan(packet->bytes).subspan(12, 4), net(source).address);
  store_be32(ByteSpan(packet->bytes).subspan(16, 4), net(destination).address);
  return packet;
}

std::map<std::uint32_t, int> delivered(Wan& wan, TimePoint now) {
  std::map<std::uint32_t, int> count;
  wan.deliver_due(now, [&count](std::uint32_t port, const Packet&) { ++count[port]; });
  return count;
}

TEST(Wan, APacketComesOutAtTheSiteOfItsAddressAfterTheDelayOfItsDirection) {
  Wan wan(two_clouds());
  wan.accept(kStart, 0, ip_packet("10.101.0.11", "10.102.0.12"));
  wan.accept(kStart, 1, ip_packet("203.0.113.2", "203.0.113.1"));
  EXPECT_EQ(wan.next_deadline(), kStart + Millis{20});
  EXPECT_EQ(delivered(wan, kStart + Millis{20}), (std::map<std::uint32_t, int>{{1, 1}}));
  EXPECT_EQ(delivered(wan, kStart + Millis{30}), (std::map<std::uint32_t, int>{{0, 1}}));
  EXPECT_FALSE(wan.next_deadline());
}

TEST(Wan, WhatIsNotRoutableIsDroppedAndCounted) {
  Wan wan(two_clouds());
  wan.accept(kStart, 0, ip_packet("10.102.0.1", "10.102.0.2"));  // another site's source
  wan.accept(kStart, 0, ip_packet("10.101.0.1", "10.99.0.2"));   // nobody's destination
  wan.accept(kStart, 0, ip_packet("10.101.0.1", "10.101.0.2"));  // its own site's
  auto short_packet = ip_packet("10.101.0.1", "10.102.0.2");
  short_packet->size = 19;
  wan.accept(kStart, 0, std::move(short_packet));
  auto ipv6 = ip_packet("10.101.0.1", "10.102.0.2");
  ipv6->bytes[0] = std::byte{0x60};
  wan.accept(kStart, 0, std::move(ipv6));
  EXPECT_FALSE(wan.next_deadline());
  EXPECT_EQ(wan.counters().foreign, 1U);
  EXPECT_EQ(wan.counters().unroutable, 2U);
  EXPECT_EQ(wan.counters().malformed, 2U);
}

TEST(Wan, ARowForSomeAddressesStandsBeforeThatOfItsSites) {
  auto setup = two_clouds();
  const WanRow one_host{.from = 0, .to = 1, .source = net("10.101.0.11"), .shape = {.delay = Millis{80}}};
  setup.table.insert(setup.table.begin(), one_host);
  Wan wan(setup);
  wan.accept(kStart, 0, ip_packet("10.101.0.11", "10.102.0.11"));
  wan.accept(kStart, 0, ip_packet("10.101.0.12", "10.102.0.11"));
  EXPECT_EQ(delivered(wan, kStart + Millis{20})[1], 1);
  EXPECT_EQ(delivered(wan, kStart + Millis{80})[1], 1);
}

TEST(Wan, ATableThatDropsARowLetsItsPacketsArrive) {
  auto setup = two_clouds();
  const WanTable plain = setup.table;
  setup.table.insert(setup.table.begin(),
                     {.from = 0, .to = 1, .source = net("10.101.0.11"), .shape = {.delay = Millis{80}}});
  Wan wan(setup);
  wan.accept(kStart, 0, ip_packet("10.101.0.11", "10.102.0.11"));
  wan.reshape(kStart, plain);
  wan.accept(kStart, 0, ip_packet("10.101.0.11", "10.102.0.11"));
  EXPECT_EQ(delivered(wan, kStart + Millis{20})[1], 1);
  EXPECT_EQ(delivered(wan, kStart + Millis{80})[1], 1);
  wan.reshape(kStart + Millis{80}, plain);
  EXPECT_EQ(wan.counters().rows.size(), 2U);
}

TEST(WanTable, JsonReadsBackWhatItWrote) {
  auto setup = two_clouds();
  setup.table.push_back(
      {.from = 1, .to = 0, .source = net("10.102.0.0/24"), .shape = {.rate_bps = 5000, .loss_ppm = 7, .cut = true}});
  EXPECT_EQ(parse_wan_setup(to_json(setup)).value(), setup);
  EXPECT_EQ(parse_wan_table(to_json(setup.table), 2).value(), setup.table);
}

TEST(WanTable, MalformedJsonIsRefused) {
  for (const char* wrong : {"", "{", "[]", "{\"ports\":3}", R"({"ports":[],"seed":1,"table":[{"from":0,"to":1}]})"}) {
    EXPECT_FALSE(parse_wan_setup(wrong)) << wrong;
  }
  EXPECT_FALSE(parse_wan_table(to_json(two_clouds().table), 1));  // names port 1
  EXPECT_FALSE(parse_wan_table(std::string(kMostWanJsonBytes + 1, ' '), 2));
}

}  // namespace
}  // namespace godwit::lab
