#include "lab/quantity.h"

#include <gtest/gtest.h>

namespace godwit::lab {
namespace {

TEST(Quantity, RatesReadAsTcHasThem) {
  EXPECT_EQ(parse_rate("100mbit").value(), 100'000'000U);
  EXPECT_EQ(parse_rate("1.5gbit").value(), 1'500'000'000U);
  EXPECT_EQ(parse_rate("unlimited").value(), 0U);
  EXPECT_EQ(format_rate(50'000'000), "50mbit");
  EXPECT_EQ(format_rate(1'234'567), "1.234567mbit");
  EXPECT_EQ(format_rate(0), "unlimited");
  for (const char* wrong : {"", "100", "mbit", "-1mbit", "1 mbit", "nanmbit", "1e9gbit", "100mbit ", "10bit"}) {
    EXPECT_FALSE(parse_rate(wrong)) << wrong;
  }
}

TEST(Quantity, SpansAndLossesReadBack) {
  EXPECT_EQ(parse_span("40ms").value(), Millis{40});
  EXPECT_EQ(parse_span("1.5s").value(), Millis{1500});
  EXPECT_EQ(format_span(Millis{40}), "40ms");
  EXPECT_EQ(format_span(Nanos{250'000}), "250us");
  EXPECT_EQ(format_span(Nanos{500}), "0.5us");
  EXPECT_FALSE(parse_span("11s"));
  EXPECT_FALSE(parse_span("-1ms"));
  EXPECT_EQ(parse_loss("0.5%").value(), 5000U);
  EXPECT_EQ(format_loss(5000), "0.5%");
  EXPECT_FALSE(parse_loss("101%"));
  EXPECT_FALSE(parse_loss("0.5"));
}

TEST(Quantity, NetworksHaveNoHostBits) {
  EXPECT_EQ(parse_prefix("10.101.0.0/24").value(), (Ipv4Prefix{0x0A650000, 24}));
  EXPECT_EQ(parse_prefix("203.0.113.1").value(), (Ipv4Prefix{0xCB007101, 32}));
  EXPECT_EQ(format_prefix(Ipv4Prefix{0x0A650000, 24}), "10.101.0.0/24");
  for (const char* wrong :
       {"", "10", "10.0.0.0.", "10.0.0.256", "10.0.0.1/24", "10.0.0.0/33", "10.0.0.0/", "1.2.3.4x"}) {
    EXPECT_FALSE(parse_prefix(wrong)) << wrong;
  }
}

TEST(Quantity, APrefixContainsWhatItCovers) {
  const Ipv4Prefix lan{0x0A650000, 24};
  EXPECT_TRUE(lan.contains(0x0A65000B));
  EXPECT_FALSE(lan.contains(0x0A65010B));
  EXPECT_TRUE((Ipv4Prefix{0, 0}.contains(0xFFFFFFFF)));
  EXPECT_TRUE(lan.overlaps({0x0A650000, 16}));
}

}  // namespace
}  // namespace godwit::lab
