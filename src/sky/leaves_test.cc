#include "crypto/host_record.h"
#include "crypto/identity.h"
#include "support/sky_world.h"

#include <gtest/gtest.h>

namespace godwit::sky {
namespace {

using wire::ClusterState;

// A cluster of four, two at each cloud, whose clouds have hosts that serve leaves.
class LeavesOfSky : public ::testing::Test, protected testing::SkyWorld {
 protected:
  LeavesOfSky() {
    add_accounts();
    EXPECT_TRUE(create(demo()));
    EXPECT_TRUE(reaches(ClusterState::ready)) << describe();
    for (auto* cloud : {&a(), &b()}) cloud->leaf_record = record_;
  }
  static std::string key(int number) { return fmt::format("{:064x}", number); }
  Result<wire::LeafList> join(const std::string& name, int number, const std::string& cloud = "") {
    return sky_->join("demo", {name, key(number), cloud});
  }
  wire::LeafView leaf(std::size_t at = 0) { return sky_->leaves("demo")->leaves.at(at); }
  std::string network() { return view().network; }
  static std::string make_record() {
    const crypto::HostRecord record{"cloud-a",
                                    "leaf-host",
                                    crypto::host_key_from_hex(std::string(64, '5')).value(),
                                    crypto::SessionProfile::native,
                                    {WallTime{Seconds{1}}, WallTime{Seconds{2'000'000'000}}}};
    return to_base64url(crypto::sign_host_record(record, crypto::Key::generate().value()).value());
  }

  const std::string record_ = make_record();
};

TEST_F(LeavesOfSky, OneThatJoinsHasAddressesAndSoonAHost) {
  const auto joined = join("laptop", 1);
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_TRUE(joined->network.key.empty());
  EXPECT_EQ(joined->leaves.size(), 1U);
  EXPECT_EQ(leaf().host, "");
  EXPECT_FALSE(leaf().problem.empty());
  time_.run_for(Seconds{2});
  EXPECT_EQ(leaf().host, "leaf-host");
  EXPECT_EQ(leaf().endpoint, "192.0.2.1:4789");
  EXPECT_EQ(leaf().host_key, std::string(64, '5'));
  EXPECT_EQ(leaf().problem, "");
  const auto& members = a().networks.at(network()).members;
  ASSERT_EQ(members.size(), 5U);
  EXPECT_EQ(members[4].ip, leaf().ip);
  EXPECT_EQ(members[4].wireguard_key, key(1));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NE(members[i].ip, leaf().ip);
  EXPECT_TRUE(leaf().ipv6.starts_with("fd")) << leaf().ipv6;
  EXPECT_EQ(b().networks.at(network()).members.size(), 5U) << "its name resolves everywhere";
  EXPECT_EQ(view().members.size(), 4U) << "it is no instance";
  EXPECT_EQ(view().state, ClusterState::ready);
}

TEST_F(LeavesOfSky, AskingTwiceIsAskingOnceAlsoAfterARestart) {
  ASSERT_TRUE(join("laptop", 1));
  const auto first = leaf();
  restart();
  ASSERT_TRUE(join("laptop", 1));
  time_.run_for(Seconds{2});
  EXPECT_EQ(sky_->leaves("demo")->leaves.size(), 1U);
  EXPECT_EQ(leaf().ip, first.ip);
  EXPECT_EQ(leaf().instance, first.instance);
}

TEST_F(LeavesOfSky, ACloudMayBeNamedOfTheClustersOwn) {
  ASSERT_TRUE(join("laptop", 1, "cloud-b"));
  EXPECT_EQ(leaf().cloud, "cloud-b");
  const auto refused = join("other", 2, "cloud-c");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_found);
}

TEST_F(LeavesOfSky, ANameAndAKeyAreOneMembers) {
  ASSERT_TRUE(join("laptop", 1));
  for (const auto& [name, number] : {std::pair("laptop", 2), std::pair("other", 1), std::pair("demo-1", 3)}) {
    const auto refused = join(name, number);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, Errc::conflict);
  }
  auto spec = demo(1);
  spec.name = "second";
  ASSERT_TRUE(create(spec));
  const auto refused = sky_->join("second", {"laptop", key(1), ""});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.contains("member of network demo")) << refused.error().message;
}

TEST_F(LeavesOfSky, WhatIsNoNameOrNoKeyIsRefused) {
  const std::vector<wire::LeafRequest> wrong{{"Laptop", key(1), ""},
                                             {"gateway", key(1), ""},
                                             {"laptop", "abc", ""},
                                             {"laptop", std::string(64, 'A'), ""},
                                             {"laptop", std::string(64, '0'), ""}};
  for (const auto& request : wrong) {
    const auto refused = sky_->join("demo", request);
    ASSERT_FALSE(refused) << request.name << " " << request.key;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  }
  EXPECT_EQ(sky_->join("nowhere", {"laptop", key(1), ""}).error().code, Errc::not_found);
}

TEST_F(LeavesOfSky, WhoLeavesIsTakenOutEverywhereAndItsAddressIsFree) {
  ASSERT_TRUE(join("laptop", 1));
  const auto ip = leaf().ip;
  ASSERT_TRUE(sky_->leave("demo", "laptop"));
  time_.run_for(Seconds{2});
  for (auto* cloud : {&a(), &b()}) EXPECT_EQ(cloud->networks.at(network()).members.size(), 4U);
  ASSERT_TRUE(join("phone", 1));
  EXPECT_EQ(leaf().ip, ip);
  for (const auto* name : {"laptop", "demo-1"}) {
    const auto refused = sky_->leave("demo", name);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, Errc::not_found);
  }
}

TEST_F(LeavesOfSky, TheyGoWithTheCluster) {
  ASSERT_TRUE(join("laptop", 1));
  time_.run_for(Seconds{2});
  ASSERT_TRUE(sky_->delete_cluster("demo"));
  EXPECT_EQ(join("phone", 2).error().code, Errc::conflict);
  ASSERT_TRUE(time_.run_until([&] { return !sky_->cluster("demo"); }));
  EXPECT_FALSE(sky_->leaves("demo"));
  EXPECT_TRUE(a().networks.empty());
}

TEST_F(LeavesOfSky, TheAddressesAndTheListHaveEnds) {
  auto spec = demo(1);
  spec.name = "small";
  spec.cidr = "10.9.0.0/28";  // of which 11 to 14 are for members
  ASSERT_TRUE(create(spec));
  for (int number = 1; number <= 3; ++number) {
    ASSERT_TRUE(sky_->join("small", {fmt::format("l{}", number), key(number), ""})) << number;
  }
  EXPECT_EQ(sky_->join("small", {"l4", key(4), ""}).error().code, Errc::exhausted);
  for (int number = 1; number <= static_cast<int>(wire::kMostLeaves); ++number) {
    ASSERT_TRUE(join(fmt::format("l{}", number), 1000 + number)) << number;
  }
  EXPECT_EQ(join("one-more", 2000).error().code, Errc::exhausted);
}

}  // namespace
}  // namespace godwit::sky
