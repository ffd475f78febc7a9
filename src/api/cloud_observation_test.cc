// What a cloud shows of what its hosts' switches saw.
#include "overlay/location_claim.h"
#include "support/two_clouds.h"
#include "wire/observation.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::instance_id;
using testing::kNetwork;

class CloudObservation : public testing::TwoClouds {
 protected:
  // Members 1 and 2, at a1 and b1.
  void make_network() {
    auto network = TwoClouds::network();
    for (int number : {1, 2}) {
      auto& member = network.members.emplace_back();
      member.instance = instance_id(number);
      member.name = fmt::format("node-{}", number);
      member.mac = fmt::format("02:67:00:00:00:{:02x}", number);
      member.ip = fmt::format("10.77.0.{}", 10 + number);
    }
    network.members[1].location = signed_by_b(2);
    ASSERT_TRUE(user<wire::Network>(a, "PUT", "/v1/networks/" + kNetwork, wire::encode(network)));
    running(1);
  }
  // What a cloud says of its own instance is believed as it is signed.
  wire::Location signed_by_b(int number) {
    const auto now = sphere.clock.wall_now();
    const auto record = crypto::sign_location_record({b.name(),
                                                      "b1",
                                                      kNetwork,
                                                      TwoClouds::network().vni,
                                                      instance_id(number),
                                                      4,
                                                      crypto::LocationGrant::here,
                                                      {now, now + crypto::kLocationRecordLife}},
                                                     b.authority());
    wire::Location out{b.name(), "b1", "198.51.100.7", 7100, 4};
    out.claim = overlay::claim_text(to_base64url(*record), {}).value();
    return out;
  }
  static wire::Observation seen() {
    wire::Observation out;
    out.cloud = "cloud-b";  // a lie: its certificate says who it is
    out.host = "b1";
    out.ended_ms = 1;
    out.interval_ms = 5000;
    out.pairs = {{kNetwork, "02:67:00:00:00:01", "02:67:00:00:00:02", 10, 1000},
                 {"net-0000000000000000f", "02:67:00:00:00:08", "02:67:00:00:00:09", 10, 1000}};
    out.flows = {{"net-0000000000000000f", "tcp", "10.9.0.1", 1, "10.9.0.2", 2, 1, 1}};
    out.other_bytes = 77;
    out.peers.resize(2);
    out.peers[0].cloud = "cloud-b";
    out.peers[0].host = "b1";
    out.peers[1].cloud = "cloud-b";
    out.peers[1].host = "b2";
    return out;
  }
  auto shown() { return user<wire::NetworkObservation>(a, "GET", "/v1/networks/" + kNetwork + "/observation"); }
};

TEST_F(CloudObservation, ATenantSeesWhatIsOfItsOwnNetworkAlone) {
  make_network();
  ASSERT_TRUE(host(a, "a1", "/v1/agent/observation", wire::encode(seen())));
  const auto out = shown();
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_TRUE(out->network.key.empty());
  ASSERT_EQ(out->hosts.size(), 1U);
  const auto& seen_by = out->hosts[0];
  EXPECT_EQ(seen_by.cloud + "/" + seen_by.host, "cloud-a/a1");
  ASSERT_EQ(seen_by.pairs.size(), 1U);
  EXPECT_EQ(seen_by.pairs[0].network, kNetwork);
  EXPECT_TRUE(seen_by.flows.empty());
  EXPECT_EQ(seen_by.other_bytes, 0U);
  ASSERT_EQ(seen_by.peers.size(), 1U);
  EXPECT_EQ(seen_by.peers[0].host, "b1");
}

TEST_F(CloudObservation, IsOfHostsThatHaveAMemberAndNobodyElses) {
  make_network();
  ASSERT_TRUE(host(a, "a2", "/v1/agent/observation", wire::encode(seen())));
  EXPECT_TRUE(shown()->hosts.empty());
  EXPECT_FALSE(user(a, "POST", "/v1/agent/observation", wire::encode(seen()))) << "only hosts observe";
  const auto mallory = a.add_user("mallory");
  const auto refused = a.told<wire::NetworkObservation>(
      testing::CloudBench::as_user(mallory, "GET", "/v1/networks/" + kNetwork + "/observation"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_found);
}

TEST_F(CloudObservation, MoreThanTheLimitsIsLeftOut) {
  make_network();
  auto much = seen();
  much.pairs.assign(wire::kMostObservedPairs + 100, much.pairs[0]);
  ASSERT_TRUE(host(a, "a1", "/v1/agent/observation", wire::encode(much)));
  EXPECT_EQ(shown()->hosts[0].pairs.size(), wire::kMostObservedPairs);
}

TEST_F(CloudObservation, AMemberThatAnnouncesItselfElsewhereIsSaidUntilItsRecordSaysSo) {
  make_network();
  auto hinting = seen();
  hinting.announced = {{kNetwork, instance_id(1), instance_id(1)},
                       {kNetwork, instance_id(7), instance_id(7)},
                       {"net-0000000000000000f", instance_id(1), ""}};
  ASSERT_TRUE(host(a, "a2", "/v1/agent/observation", wire::encode(hinting)));
  ASSERT_EQ(shown()->problems.size(), 1U) << "others are no members";
  EXPECT_TRUE(shown()->problems[0].starts_with("node-1 (" + instance_id(1) +
                                               ") announces itself on cloud-a/a2 while its record says cloud-a/a1"))
      << shown()->problems[0];

  const auto problem_of = [&](const std::string& who) {
    const auto list = a.told<wire::HostList>(testing::CloudBench::as_user(who, "GET", "/v1/hosts"));
    return std::ranges::find(list->hosts, "a2", &wire::HostView::name)->problem;
  };
  EXPECT_TRUE(problem_of(a.add_user("operator", {}, true)).contains("announces itself"));
  EXPECT_FALSE(problem_of(a.add_user("mallory")).contains("announces itself"));

  hinting.announced[0].instance = instance_id(2);
  ASSERT_TRUE(host(a, "a2", "/v1/agent/observation", wire::encode(hinting)));
  EXPECT_TRUE(shown()->problems.at(0).contains("node-2")) << "another cloud's too, by what sky said of it";
  hinting.announced[0].instance = instance_id(1);
  ASSERT_TRUE(host(a, "a1", "/v1/agent/observation", wire::encode(hinting)));
  ASSERT_TRUE(host(a, "a2", "/v1/agent/observation", wire::encode(seen())));
  EXPECT_TRUE(shown()->problems.empty()) << "it is where its record says";
}

}  // namespace
}  // namespace godwit::api
