// Two clouds whose hosts could join a network to its LAN, over their APIs: neither does before sky has named it.
#include "support/two_clouds.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::CloudBench;
using testing::kNetwork;
using testing::ObedientHost;

class CloudLans : public testing::TwoClouds {
 protected:
  static void offer(ObedientHost& host) {
    host.report.lans = {{"alice", network().name}};
    host.sync();
  }
  static void stop_offering(ObedientHost& host) {
    host.report.lans.clear();
    host.sync();
  }
  // What its cloud lets it do.
  static bool joins(ObedientHost& host) {
    const auto state = host.sync();
    return std::ranges::any_of(state.networks, [&](const auto& each) { return each.uplink.host == host.report.host; });
  }
  // As sky does.
  wire::Location hear(CloudBench& cloud) {
    return user<wire::Network>(cloud, "GET", "/v1/networks/" + kNetwork)->uplink;
  }
  wire::Location name(CloudBench& cloud, const wire::Location& uplink) {
    auto told = network();
    told.uplink = uplink;
    return user<wire::Network>(cloud, "PUT", "/v1/networks/" + kNetwork, wire::encode(told))->uplink;
  }
};

TEST_F(CloudLans, AHostThatCouldIsToldToSkyAndJoinsOnceItsCloudIsNamed) {
  running(1);  // whoever has a member hears of its network
  offer(a1);
  offer(b1);
  const auto heard = hear(a);
  EXPECT_EQ(heard.cloud + "/" + heard.host, "cloud-a/a1");
  EXPECT_EQ(hear(b).host, "b1");
  EXPECT_FALSE(joins(a1));
  EXPECT_FALSE(joins(b1));
  EXPECT_EQ(name(a, heard), heard);
  EXPECT_EQ(name(b, heard), heard);
  EXPECT_TRUE(joins(a1));
  EXPECT_FALSE(joins(b1));
  a.restart();
  EXPECT_TRUE(joins(a1)) << "it goes on without sky";
}

TEST_F(CloudLans, ALeaseComesWithTheName) {
  offer(a1);
  offer(a2);
  a1.sync();
  EXPECT_TRUE(a1.desired.lan_leases.empty());
  name(a, hear(a));
  a1.sync();
  EXPECT_EQ(a1.desired.lan_leases.size(), 1U);
}

// Sky may have named another cloud since, and not be able to say so.
TEST_F(CloudLans, ACloudThatHasSaidThatNoneOfItsHostsCouldIsToBeNamedAnew) {
  offer(a1);
  const auto first = hear(a);
  name(a, first);
  ASSERT_TRUE(joins(a1));
  stop_offering(a1);
  EXPECT_EQ(hear(a), wire::Location{});
  offer(a1);
  EXPECT_FALSE(joins(a1));
  const auto again = hear(a);
  EXPECT_EQ(again.host, "a1");
  EXPECT_NE(again, first) << "else sky sees nothing to be told";
  name(a, again);
  EXPECT_TRUE(joins(a1));
}

TEST_F(CloudLans, ANameThatComesWhenNoneCouldIsNotKept) {
  offer(a1);
  const auto first = hear(a);
  stop_offering(a1);
  EXPECT_EQ(name(a, first), wire::Location{});
  offer(a1);
  EXPECT_FALSE(joins(a1));
}

// Nobody has heard that it did not offer it.
TEST_F(CloudLans, AHostThatOffersItAgainBeforeSkyAsksGoesOn) {
  offer(a1);
  name(a, hear(a));
  stop_offering(a1);
  EXPECT_FALSE(joins(a1));
  offer(a1);
  EXPECT_TRUE(joins(a1));
}

}  // namespace
}  // namespace godwit::api
