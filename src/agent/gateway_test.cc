#include "agent/gateway.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::agent {
namespace {

wire::Network network() {
  wire::Network out;
  out.cidr = "10.77.0.0/24";
  out.cidr6 = "fd12:3456:789a:bcde::/64";
  out.gateway = "10.77.0.1";
  out.domain = "demo.internal";
  out.vni = 7;
  out.members.push_back({"i-00000000000000001", "vm1", "02:67:00:00:00:01", "10.77.0.11", {}, {}});
  return out;
}

bool has(const std::vector<std::string>& arguments, std::string_view wanted) {
  return std::ranges::find(arguments, wanted) != arguments.end();
}

TEST(Gateway, AMemberGetsItsAddressesByItsMacAndNobodyElseDoes) {
  EXPECT_EQ(dhcp_hosts_file(network()), "02:67:00:00:00:01,10.77.0.11,[fd12:3456:789a:bcde::a4d:b],vm1\n");
  const auto arguments = dnsmasq_arguments(network(), "dnsmasq", "/state");
  EXPECT_TRUE(has(arguments, "--dhcp-range=10.77.0.0,static,255.255.255.0,infinite"));
  EXPECT_TRUE(has(arguments, "--dhcp-range=fd12:3456:789a:bcde::,static,64,infinite"));
}

TEST(Gateway, NamesHaveBothAddresses) {
  EXPECT_EQ(dns_hosts_file(network()),
            "10.77.0.1 gateway.demo.internal gateway\n"
            "fd12:3456:789a:bcde::a4d:1 gateway.demo.internal gateway\n"
            "10.77.0.11 vm1.demo.internal vm1\n"
            "fd12:3456:789a:bcde::a4d:b vm1.demo.internal vm1\n");
}

TEST(Gateway, ItIsNoWayOutOfTheNetworkAndTheSameServerOnEveryHost) {
  const auto arguments = dnsmasq_arguments(network(), "dnsmasq", "/state");
  EXPECT_TRUE(has(arguments, "--ra-param=gw0,60,0"));
  EXPECT_TRUE(has(arguments, "--dhcp-duid=32473,00000007"));
}

TEST(Gateway, ANetworkWithoutIpv6HearsNothingOfIt) {
  auto plain = network();
  plain.cidr6.clear();
  EXPECT_EQ(dhcp_hosts_file(plain), "02:67:00:00:00:01,10.77.0.11,vm1\n");
  EXPECT_EQ(dns_hosts_file(plain).find("fd"), std::string::npos);
  EXPECT_FALSE(has(dnsmasq_arguments(plain, "dnsmasq", "/state"), "--enable-ra"));
}

}  // namespace
}  // namespace godwit::agent
