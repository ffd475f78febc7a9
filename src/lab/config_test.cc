#include "lab/config.h"

#include <gtest/gtest.h>

namespace godwit::lab {
namespace {

Result<Config> parse(std::string_view text) { return parse_config(text, "lab.toml"); }

std::string error_of(std::string_view text) {
  const auto config = parse(text);
  return config ? "" : config.error().message;
}

TEST(LabConfig, TheDefaultLabIsTwoCloudsAndAUser) {
  const auto config = parse(kDefaultLab);
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->clouds.size(), 2U);
  EXPECT_EQ(config->clouds[1].name, "cloud-b");
  EXPECT_EQ(config->clouds[1].hosts, (std::vector<std::string>{"b1", "b2"}));
  EXPECT_EQ(format_prefix(config->clouds[1].lan), "10.102.0.0/24");
  EXPECT_EQ(config->clouds[0].nat, Nat::kind) << "as most hosts are";
  EXPECT_EQ(config->clouds[0].nat_kind.mapping, NatScope::endpoint);
  EXPECT_EQ(config->clouds[0].nat_kind.filtering, NatScope::address_and_port);
  ASSERT_EQ(config->clouds[0].publish.size(), 1U);
  EXPECT_EQ(config->clouds[0].publish[0].port, kApiPort);
  EXPECT_EQ(config->clouds[0].publish[0].node, "a0");
  EXPECT_EQ(config->wan.rate_bps, 100'000'000U);
  EXPECT_EQ(config->wan.round_trip, Millis{40});
  EXPECT_EQ(config->public_nodes, std::vector<std::string>{"user"});
}

TEST(LabConfig, EveryKeyIsRead) {
  const auto config = parse(R"(
name = "demo"
[wan]
rate = "50mbit"
round_trip = "80ms"
loss = "0.1%"
seed = 9
[[cloud]]
name = "left"
lan = "10.7.0.0/16"
nat = "symmetric"
control = "l0"
hosts = ["l1"]
lan_rate = "1gbit"
publish = [{port = 7443, node = "l0"}]
[[cloud]]
name = "right"
nat = true
hosts = ["r1"]
[public]
network = "198.51.100.0/24"
nodes = ["user", "relay"]
[[path]]
between = ["left", "relay"]
round_trip = "10ms"
)");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->name, "demo");
  EXPECT_EQ(config->seed, 9U);
  EXPECT_EQ(config->clouds[0].nat, Nat::symmetric);
  EXPECT_EQ(config->clouds[0].lan_rate_bps, 1'000'000'000U);
  EXPECT_EQ(config->clouds[0].publish[0].port, 7443);
  EXPECT_EQ(config->clouds[1].nat, Nat::masquerade);
  EXPECT_EQ(config->clouds[1].control, "right-control");
  ASSERT_EQ(config->paths.size(), 1U);
  EXPECT_EQ(config->paths[0].path.round_trip, Millis{10});
  EXPECT_EQ(config->paths[0].path.rate_bps, 50'000'000U);  // as [wan] has it
}

TEST(LabConfig, AMistakeIsNamedWithItsLine) {
  const std::string cloud = "[[cloud]]\nname = \"a\"\nhosts = [\"a1\"]\n";
  EXPECT_TRUE(error_of("").starts_with("lab.toml:1: a lab has at least one [[cloud]]"));
  EXPECT_TRUE(error_of("[wan\n").starts_with("lab.toml:1: "));
  EXPECT_TRUE(error_of(cloud + "natt = true\n").starts_with("lab.toml:4: [[cloud]] has no key \"natt\""));
  EXPECT_NE(error_of(cloud + "nat = {mapping = \"cone\"}\n"), "");
  EXPECT_NE(error_of(cloud + "nat = {timeout_s = 0}\n"), "");
  EXPECT_NE(error_of(cloud + "nat = {udp = 1}\n"), "");
  EXPECT_TRUE(error_of(cloud + "nat = 3\n").starts_with("lab.toml:4: nat: must be true"));
  EXPECT_TRUE(error_of(cloud + "[wan]\nrate = \"fast\"\n").starts_with("lab.toml:5: rate: \"fast\" is no rate"));
  EXPECT_TRUE(error_of(cloud + "[[cloud]]\nname = \"b\"\nhosts = [\n\"b1\",\n\"a1\"]\n")
                  .starts_with("lab.toml:8: hosts: \"a1\" is taken already"));
  EXPECT_TRUE(
      error_of(cloud + "[public]\nnodes = [\"wan\"]\n").starts_with("lab.toml:5: nodes: \"wan\" is the lab's own"));
  EXPECT_TRUE(error_of("name = \"a-b\"\n" + cloud).starts_with("lab.toml:1: name: \"a-b\" is no name of a lab"));
  EXPECT_TRUE(error_of(cloud + "[[path]]\nbetween = [\"a\", \"x\"]\n").starts_with("lab.toml:5: between: there is no"));
}

TEST(LabConfig, NetworksDoNotOverlap) {
  const std::string two =
      "[[cloud]]\nname = \"a\"\nhosts = [\"a1\"]\nlan = \"10.0.0.0/8\"\n"
      "[[cloud]]\nname = \"b\"\nhosts = [\"b1\"]\nlan = \"10.5.0.0/24\"\n";
  EXPECT_NE(error_of(two).find("lab.toml:8: lan: 10.5.0.0/24 overlaps 10.0.0.0/8"), std::string::npos);
}

TEST(LabConfig, APublishedPortNeedsANatAndANode) {
  const std::string cloud = "[[cloud]]\nname = \"a\"\nhosts = [\"a1\"]\n";
  EXPECT_NE(error_of(cloud + "nat = false\npublish = [{port = 1, node = \"a1\"}]\n"), "");
  EXPECT_NE(error_of(cloud + "nat = true\npublish = [{port = 1, node = \"b1\"}]\n"), "");
  EXPECT_NE(error_of(cloud + "nat = true\npublish = [{port = 70000, node = \"a1\"}]\n"), "");
  EXPECT_EQ(error_of(cloud + "nat = true\npublish = [{port = 1, node = \"a1\"}]\n"), "");
}

TEST(LabConfig, HostileTextIsRefused) {
  EXPECT_FALSE(parse(std::string(kMostConfigBytes + 1, '#')));
  EXPECT_FALSE(parse("x = " + std::string(10'000, '[')));
  EXPECT_FALSE(parse(std::string_view("a = \"\0\"", 7)));
}

TEST(LabConfig, NamesOfLabsHaveNoHyphen) {
  EXPECT_TRUE(is_lab_name("demo2"));
  for (const char* wrong : {"", "Demo", "demo-2", "2demo", "a234567890123456", "../x"})
    EXPECT_FALSE(is_lab_name(wrong));
}

}  // namespace
}  // namespace godwit::lab
