#include "support/sky_world.h"

#include <gtest/gtest.h>

namespace godwit::sky {
namespace {

using wire::ClusterState;
using wire::GroupProtocol;
using wire::RuleDirection;

wire::RuleChange ssh_from(const std::string& cidr) {
  return {RuleDirection::ingress, {GroupProtocol::tcp, 22, 22, -1, cidr, {}}};
}

class SecurityGroupsOfSky : public ::testing::Test, protected testing::SkyWorld {
 protected:
  SecurityGroupsOfSky() { add_accounts(); }
  wire::ClusterSpec in_web() {
    auto spec = demo();
    spec.security_groups = {"web"};
    return spec;
  }
  const wire::Network& told() { return a().networks[view().network]; }
};

TEST_F(SecurityGroupsOfSky, ANewGroupLetsNobodyInAndEverythingOut) {
  const auto made = sky_->create_security_group({"web", {}, {}});
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->ingress.empty());
  EXPECT_EQ(made->egress, wire::open_egress());
  EXPECT_EQ(sky_->security_groups().list().groups.size(), 2U);  // and the default one
  EXPECT_EQ(sky_->security_groups().get("default")->ingress[0].group, "default");
}

TEST_F(SecurityGroupsOfSky, AChangeReachesTheCloudsOfRunningClustersInSeconds) {
  ASSERT_TRUE(sky_->create_security_group({"web", {}, {}}));
  ASSERT_TRUE(create(in_web()));
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
  for (const auto& member : told().members) EXPECT_EQ(member.groups, std::vector<std::string>{"web"});
  ASSERT_EQ(told().groups.size(), 1U);
  EXPECT_TRUE(told().groups[0].ingress.empty());
  ASSERT_TRUE(sky_->authorize("web", ssh_from("0.0.0.0/0")));
  time_.run_for(Seconds{2});
  ASSERT_EQ(told().groups.at(0).ingress.size(), 1U);
  EXPECT_EQ(b().networks[view().network].groups, told().groups);
  ASSERT_TRUE(sky_->revoke("web", ssh_from("0.0.0.0/0")));
  time_.run_for(Seconds{2});
  EXPECT_TRUE(told().groups.at(0).ingress.empty());
}

TEST_F(SecurityGroupsOfSky, TheDefaultGroupIsToldOnceItIsNotAsEverybodyKnowsIt) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  EXPECT_TRUE(told().groups.empty());
  ASSERT_TRUE(sky_->authorize("default", ssh_from("192.0.2.0/24")));
  time_.run_for(Seconds{2});
  ASSERT_EQ(told().groups.size(), 1U);
  EXPECT_EQ(told().groups[0].ingress.size(), 2U);
}

TEST_F(SecurityGroupsOfSky, WhatWasChangedIsThereAfterARestart) {
  ASSERT_TRUE(sky_->create_security_group({"web", {}, {}}));
  ASSERT_TRUE(sky_->authorize("web", ssh_from("0.0.0.0/0")));
  restart();
  EXPECT_EQ(sky_->security_groups().get("web")->ingress.size(), 1U);
}

TEST_F(SecurityGroupsOfSky, NonsenseIsRefusedByName) {
  EXPECT_EQ(sky_->create_security_group({"no label", {}, {}}).error().code, Errc::invalid_argument);
  EXPECT_EQ(sky_->authorize("web", ssh_from("::/0")).error().code, Errc::not_found);
  ASSERT_TRUE(sky_->create_security_group({"web", {}, {}}));
  EXPECT_EQ(sky_->authorize("web", ssh_from("everybody")).error().code, Errc::invalid_argument);
  EXPECT_EQ(sky_->revoke("web", ssh_from("::/0")).error().code, Errc::not_found);
  wire::RuleChange change;
  change.rule.group = "nobody";
  EXPECT_EQ(sky_->authorize("web", change).error().code, Errc::not_found);
  auto spec = demo();
  spec.security_groups = {"nobody"};
  EXPECT_EQ(create(spec).error().code, Errc::not_found);
}

TEST_F(SecurityGroupsOfSky, AGroupThatIsUsedIsNotDeleted) {
  ASSERT_TRUE(sky_->create_security_group({"web", {}, {}}));
  ASSERT_TRUE(sky_->create_security_group({"database", {}, {}}));
  wire::RuleChange change;
  change.rule.group = "web";
  ASSERT_TRUE(sky_->authorize("database", change));
  EXPECT_EQ(sky_->delete_security_group("web").error().code, Errc::conflict);
  ASSERT_TRUE(sky_->revoke("database", change));
  ASSERT_TRUE(create(in_web()));
  EXPECT_EQ(sky_->delete_security_group("web").error().code, Errc::conflict);
  EXPECT_EQ(sky_->delete_security_group("default").error().code, Errc::conflict);
  EXPECT_TRUE(sky_->delete_security_group("database"));
  EXPECT_EQ(sky_->delete_security_group("database").error().code, Errc::not_found);
}

}  // namespace
}  // namespace godwit::sky
