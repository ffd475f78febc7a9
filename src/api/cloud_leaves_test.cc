// Members that are somebody's WireGuard, over a cloud's API: which host serves each, and as what the others see it.
#include "overlay/location_claim.h"
#include "support/two_clouds.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::instance_id;
using testing::kNetwork;
using testing::ObedientHost;

class CloudLeaves : public testing::TwoClouds {
 protected:
  CloudLeaves() {
    char digit = '1';
    for (auto* host : {&a1, &a2}) host->report.overlay_key = std::string(64, digit++);
    for (int round = 0; round < 2; ++round) {
      for (auto* host : {&a1, &a2}) host->sync();
    }
  }
  static std::string key(int number) { return fmt::format("{:064x}", 0xabc00 + number); }
  static wire::Member leaf(int number, const std::string& cloud = "cloud-a") {
    wire::Member out;
    out.instance = instance_id(number);
    out.name = fmt::format("laptop-{}", number);
    out.mac = fmt::format("02:67:00:00:01:{:02x}", number);
    out.ip = fmt::format("10.77.0.{}", 100 + number);
    out.wireguard_key = key(number);
    out.served_by = cloud;
    return out;
  }
  Result<wire::Network> tell(const std::vector<wire::Member>& members, const std::string& id = kNetwork) {
    auto said = network();
    said.id = id;
    said.vni += id == kNetwork ? 0 : 1;
    said.members = members;
    return user<wire::Network>(a, "PUT", "/v1/networks/" + id, wire::encode(said));
  }
  wire::Location location(const std::string& id = kNetwork) {
    return user<wire::Network>(a, "GET", "/v1/networks/" + id)->members.at(0).location;
  }
  // The leaves that the host is told to serve.
  static std::vector<std::string> served(ObedientHost& host) {
    std::vector<std::string> out;
    for (const auto& each : host.sync().networks) {
      for (const auto& member : each.members) {
        if (member.location.host == host.report.host && !member.wireguard_key.empty()) out.push_back(member.instance);
      }
    }
    return out;
  }
  // `silent` says nothing until its cloud takes it for dead.
  void outlive(ObedientHost& other) {
    for (Seconds passed{0}; passed <= cloud::kHostSilence; passed += Seconds{5}) {
      sphere.advance(Seconds{5});
      other.sync();
    }
  }
};

TEST_F(CloudLeaves, AHostServesItAndTheOthersGetItsProof) {
  const auto told = tell({leaf(1)});
  ASSERT_TRUE(told) << told.error().message;
  const auto at = told->members[0].location;
  EXPECT_EQ(at.cloud + "/" + at.host, "cloud-a/a1");
  EXPECT_EQ(at.version, 1U);
  EXPECT_EQ(at.underlay_port, a1.report.overlay_port);
  EXPECT_FALSE(at.record.empty()) << "with which key the leaf shall speak";
  overlay::Authorities authorities;
  authorities.emplace("cloud-a", crypto::Authority::from_pem("cloud-a", a.ca()).value());
  EXPECT_TRUE(
      overlay::prove_first({kNetwork, network().vni, instance_id(1)}, at, authorities, sphere.clock.wall_now()));
  EXPECT_EQ(served(a1), std::vector<std::string>{instance_id(1)});
  EXPECT_TRUE(a1.desired.networks.at(0).members.at(0).location.claim == at.claim) << "it shows it to others";
  EXPECT_TRUE(served(a2).empty());
}

TEST_F(CloudLeaves, TheHostWithFewestTakesTheNextAndEachKeepsItsHost) {
  ASSERT_TRUE(tell({leaf(1), leaf(2)}));
  EXPECT_EQ(served(a1), std::vector<std::string>{instance_id(1)});
  EXPECT_EQ(served(a2), std::vector<std::string>{instance_id(2)});
  ASSERT_TRUE(tell({leaf(2)}));
  a.restart();
  for (auto* host : {&a1, &a2}) host->sync();
  EXPECT_TRUE(served(a1).empty());
  EXPECT_EQ(served(a2), std::vector<std::string>{instance_id(2)});
}

TEST_F(CloudLeaves, WhenItsHostDiesAnotherServesItWithAHigherVersion) {
  ASSERT_TRUE(tell({leaf(1)}));
  outlive(a2);
  EXPECT_EQ(served(a2), std::vector<std::string>{instance_id(1)});
  EXPECT_EQ(location().host, "a2");
  EXPECT_EQ(location().version, 2U);
  EXPECT_FALSE(location().claim.empty());
  EXPECT_TRUE(served(a1).empty()) << "it comes back, and is told";
  EXPECT_EQ(location().host, "a2") << "who has it keeps it";
}

TEST_F(CloudLeaves, ACloudThatHasJustStartedTakesNoHostForDead) {
  ASSERT_TRUE(tell({leaf(1)}));
  sphere.advance(cloud::kHostSilence * 4);
  a.restart();
  a2.sync();
  a2.sync();
  EXPECT_EQ(location().host, "a1");
}

TEST_F(CloudLeaves, WhereNoHostCanServeItItWaitsForOne) {
  for (auto* host : {&a1, &a2}) host->report.overlay_port = 0;
  for (auto* host : {&a1, &a2}) host->sync();
  ASSERT_TRUE(tell({leaf(1)}));
  EXPECT_EQ(location().version, 0U);
  a2.report.overlay_port = 7100;
  a2.sync();
  EXPECT_EQ(location().host, "a2");
}

TEST_F(CloudLeaves, OneThatAnotherCloudServesIsNotServedHere) {
  ASSERT_TRUE(tell({leaf(1, "cloud-b")}));
  EXPECT_EQ(location().version, 0U);
  EXPECT_TRUE(served(a1).empty());
}

TEST_F(CloudLeaves, OfTwoNetworksWithOneKeyEachHasAHostOfItsOwn) {
  const std::string other = "net-00000000000000002";
  ASSERT_TRUE(tell({leaf(1)}));
  auto twin = leaf(2);
  twin.wireguard_key = key(1);
  ASSERT_TRUE(tell({twin}, other));
  EXPECT_EQ(location(other).host, "a2");
  auto third = leaf(3);
  third.wireguard_key = key(1);
  ASSERT_TRUE(tell({third}, "net-00000000000000002"));
  EXPECT_EQ(location(other).host, "a2") << "the second is gone";
}

TEST_F(CloudLeaves, NobodyJoinsWithAHostsKeyOrAnInstancesId) {
  auto thief = leaf(1);
  thief.wireguard_key = a2.report.overlay_key;
  ASSERT_TRUE(tell({thief}));
  EXPECT_EQ(location().version, 0U);
  ASSERT_TRUE(tell({}));
  running(1);
  ASSERT_TRUE(tell({leaf(1)}));
  EXPECT_TRUE(served(a2).empty());
  ASSERT_TRUE(tell({leaf(4)}));
  const auto refused = run(a, run_request(4));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
}

TEST_F(CloudLeaves, ItIsGoneWithItsNetwork) {
  ASSERT_TRUE(tell({leaf(1)}));
  EXPECT_FALSE(served(a1).empty());
  ASSERT_TRUE(user(a, "DELETE", "/v1/networks/" + kNetwork));
  EXPECT_TRUE(a1.sync().networks.empty());
  ASSERT_TRUE(tell({}));
  EXPECT_TRUE(a1.sync().networks.empty());
}

TEST_F(CloudLeaves, WhatIsNoLeafIsRefused) {
  const auto refused = [&](const std::function<void(wire::Member&)>& change) {
    auto wrong = leaf(1);
    change(wrong);
    const auto told = tell({wrong, leaf(2)});
    return !told && told.error().code == Errc::invalid_argument;
  };
  EXPECT_TRUE(refused([](auto& each) { each.wireguard_key = "abc"; }));
  EXPECT_TRUE(refused([](auto& each) { each.wireguard_key = std::string(64, 'A'); })) << "one key, one spelling";
  EXPECT_TRUE(refused([](auto& each) { each.wireguard_key = key(2); }));
  EXPECT_TRUE(refused([](auto& each) { each.served_by = ""; }));
  std::vector<wire::Member> many;
  for (int number = 1; number <= 65; ++number) many.push_back(leaf(number));
  EXPECT_FALSE(tell(many));
}

}  // namespace
}  // namespace godwit::api
