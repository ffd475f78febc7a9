#include "lab/plan.h"

#include "lab/test_plan.h"

#include <gtest/gtest.h>

#include <set>

namespace godwit::lab {
namespace {

// Everything that is fed to programs in the namespace of `node`.
std::string input_in(const Plan& plan, std::string_view node) {
  std::string all;
  for (const Command& command : plan.fill_namespaces) {
    if (command.netns == find_node(plan, node)->netns)
      all += fmt::format("{}\n{}", fmt::join(command.argv, " "), command.input);
  }
  return all;
}

TEST(LabPlan, EachNodeHasANamespaceWithTheLabsPrefix) {
  const Plan plan = plan_of(kDefaultLab);
  std::set<std::string> names;
  for (const Node& node : plan.nodes) names.insert(node.netns);
  EXPECT_EQ(names, (std::set<std::string>{"gw-t-wan", "gw-t-user", "gw-t-a0", "gw-t-a1", "gw-t-a2", "gw-t-b0",
                                          "gw-t-b1", "gw-t-b2", "gw-t-cloud-a-router", "gw-t-cloud-b-router"}));
  EXPECT_EQ(format_prefix(find_node(plan, "a0")->address), "10.101.0.10");
  EXPECT_EQ(format_prefix(find_node(plan, "b2")->address), "10.102.0.12");
  EXPECT_EQ(format_prefix(find_node(plan, "cloud-b-router")->address), "203.0.113.2");
  EXPECT_EQ(format_prefix(find_node(plan, "user")->address), "203.0.113.101");
  EXPECT_EQ(find_node(plan, "nobody"), nullptr);
}

TEST(LabPlan, NothingIsMadeInTheCallersNamespaceButNamespaces) {
  const Plan plan = plan_of(kDefaultLab);
  ASSERT_EQ(plan.make_namespaces.size(), 1U);
  for (const Command& command : plan.fill_namespaces) EXPECT_TRUE(command.netns.starts_with("gw-t-"));
}

TEST(LabPlan, WithoutNatPrivateAddressesCrossTheWan) {
  const Plan plan = plan_of(kOpenLab);
  ASSERT_EQ(plan.wan.ports.size(), 3U);
  EXPECT_EQ(plan.wan.ports[0].prefixes,
            (std::vector{parse_prefix("203.0.113.1").value(), parse_prefix("10.101.0.0/24").value()}));
  EXPECT_EQ(plan.wan.table.size(), 6U);
  EXPECT_EQ(plan.wan.table[0].shape, (LinkShape{.rate_bps = 100'000'000, .delay = Millis{20}}));
  EXPECT_EQ(input_in(plan, "cloud-a-router").find("nft"), std::string::npos);
}

TEST(LabPlan, ANatOfAKindRemembersWhomItsHostsHaveSentTo) {
  const Plan plan = plan_of(
      "[[cloud]]\nname = \"a\"\nnat = {mapping = \"endpoint\", filtering = \"address\", timeout_s = 30}\n"
      "control = \"a0\"\nhosts = [\"a1\"]\n");
  const std::string router = input_in(plan, "a-router");
  EXPECT_NE(router.find("snat to 203.0.113.1 : jhash ip saddr . udp sport mod"), std::string::npos);
  EXPECT_NE(router.find("udp dport . ip saddr @sent dnat to udp dport map @back"), std::string::npos);
  EXPECT_NE(router.find("timeout 30s"), std::string::npos);
}

TEST(LabPlan, WhereUdpIsBlockedNothingElseIs) {
  const Plan plan = plan_of("[[cloud]]\nname = \"a\"\nnat = {udp = false}\ncontrol = \"a0\"\nhosts = [\"a1\"]\n");
  const std::string router = input_in(plan, "a-router");
  EXPECT_NE(router.find("meta l4proto udp drop"), std::string::npos);
  EXPECT_NE(router.find("masquerade"), std::string::npos);
}

TEST(LabPlan, ANatHidesTheLanAndLetsInWhatIsPublished) {
  const Plan plan = plan_of(
      "[[cloud]]\nname = \"a\"\nnat = \"symmetric\"\ncontrol = \"a0\"\nhosts = [\"a1\"]\n"
      "publish = [{port = 7443, node = \"a0\"}]\n");
  EXPECT_EQ(plan.wan.ports[0].prefixes, std::vector{parse_prefix("203.0.113.1").value()});
  const std::string router = input_in(plan, "a-router");
  EXPECT_NE(router.find("masquerade fully-random"), std::string::npos);
  EXPECT_NE(router.find("tcp dport 7443 dnat to 10.101.0.10:7443"), std::string::npos);
}

TEST(LabPlan, ALanRateHoldsInBothDirections) {
  const Plan plan = plan_of("[[cloud]]\nname = \"a\"\nhosts = [\"a1\"]\nlan_rate = \"1gbit\"\n");
  EXPECT_NE(input_in(plan, "a1").find("tc qdisc add dev eth0 root tbf rate 1000000000bit"), std::string::npos);
  EXPECT_NE(input_in(plan, "a-router").find("tc qdisc add dev port1 root tbf"), std::string::npos);
}

TEST(LabPlan, APathOfItsOwnHoldsBothWays) {
  const Plan plan =
      plan_of(std::string(kDefaultLab) + "[[path]]\nbetween = [\"user\", \"cloud-a\"]\nround_trip = \"6ms\"\n");
  for (const WanRow& row : plan.wan.table) {
    const bool theirs = row.from + row.to == 2;  // cloud-a is port 0, user is port 2
    EXPECT_EQ(row.shape.delay, Millis{theirs ? 3 : 20});
  }
}

}  // namespace
}  // namespace godwit::lab
