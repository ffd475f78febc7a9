// Where instances are, as clouds sign it, hand it off, and believe it of each other. What sky passes on is what each
// cloud says; here sky is the test.
#include "overlay/location_claim.h"
#include "support/two_clouds.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::CloudBench;
using testing::instance_id;
using testing::kNetwork;
using testing::migration_id;
using wire::Decision;
using wire::InstanceState;
using wire::MigrationPhase;
using wire::MigrationRole;

class CloudLocations : public testing::TwoClouds {
 protected:
  CloudLocations() {
    // A third one, that watches.
    for (auto* cloud : {&a, &b}) {
      const wire::NetworkPeers peers{{{other(*cloud).name(), other(*cloud).ca()}, {c.name(), c.ca()}}};
      EXPECT_TRUE(user(*cloud, "PUT", "/v1/networks/" + kNetwork + "/peers", wire::encode(peers)));
    }
    EXPECT_TRUE(at_c<wire::Network>("PUT", "/v1/networks/" + kNetwork, wire::encode(network())));
    EXPECT_TRUE(at_c<wire::NetworkPeers>("PUT", "/v1/networks/" + kNetwork + "/peers",
                                         wire::encode(wire::NetworkPeers{{{a.name(), a.ca()}, {b.name(), b.ca()}}})));
  }

  static wire::Network with_member(const wire::Location& location) {
    auto out = network();
    out.members = {{instance_id(1), "node-1", "02:67:00:00:00:01", "10.77.0.11", {}, location}};
    return out;
  }
  template <class T>
  Result<T> at_c(std::string method, std::string path, std::string body) {
    return c.told<T>(CloudBench::as_user(alice_c, std::move(method), std::move(path), std::move(body)));
  }
  // What `cloud` believes when it has been told that.
  wire::Location tell(CloudBench& cloud, const wire::Location& location) {
    const auto body = wire::encode(with_member(location));
    const auto path = "/v1/networks/" + kNetwork;
    const auto told =
        &cloud == &c ? at_c<wire::Network>("PUT", path, body) : user<wire::Network>(cloud, "PUT", path, body);
    EXPECT_TRUE(told) << told.error().message;
    return told ? told->members.at(0).location : wire::Location{};
  }
  wire::Location said_by(CloudBench& cloud) { return tell(cloud, {}); }

  // A location as `cloud` would sign it, whether it is true or not.
  wire::Location signed_by(const CloudBench& cloud, const std::string& host, std::uint64_t version,
                           const std::vector<std::string>& hand_offs = {}) {
    const auto now = sphere.clock.wall_now();
    const auto record = crypto::sign_location_record({cloud.name(),
                                                      host,
                                                      kNetwork,
                                                      network().vni,
                                                      instance_id(1),
                                                      version,
                                                      crypto::LocationGrant::here,
                                                      {now, now + crypto::kLocationRecordLife}},
                                                     cloud.authority());
    wire::Location out{cloud.name(), host, "198.51.100.7", 7100, version};
    out.claim = overlay::claim_text(to_base64url(*record), hand_offs).value();
    return out;
  }

  // Instance 1 goes from a1 to b1; its hand-offs, as the destination hears them.
  std::vector<std::string> ordered() {
    const auto instance = running(1);
    EXPECT_EQ(tell(b, said_by(a)).host, "a1");
    EXPECT_EQ(tell(c, said_by(a)).host, "a1");
    const auto grant = ticket(ticket_request(instance, 1));
    EXPECT_TRUE(grant && migrate(instance, 1, *grant));
    auto request = redeem_request(instance, *grant);
    request.location_version = 1;
    redeemed = redeem(request).value();
    a1.sync();
    return a1.desired.migrations.at(0).hand_offs;
  }
  void arrived(const std::vector<std::string>& hand_offs) {
    EXPECT_EQ(vote("release", 1), Decision::released);
    const auto claim = overlay::claim_text(redeemed.location_record, hand_offs).value();
    b1.report.instances.push_back({instance_id(1), InstanceState::running, true, 2, "", claim});
    b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::completed);
    a1.report.instances.clear();
    a1.say(migration_id(1), MigrationRole::source, MigrationPhase::completed);
  }
  wire::DecisionAnswer asked_by_destination() {
    const auto path = "/v1/peer/migrations/" + migration_id(1) + "/resolve";
    return a.told<wire::DecisionAnswer>(CloudBench::as_host("b1", "cloud-b", path)).value();
  }

  CloudBench c{sphere, "cloud-c"};
  std::string alice_c{c.add_user("alice")};
  wire::RedeemAnswer redeemed;
};

TEST_F(CloudLocations, AreSignedWhenAnAgentClaimsThem) {
  running(1);
  const auto said = said_by(a);
  const auto authority = crypto::Authority::from_pem("cloud-a", a.ca()).value();
  const auto until = overlay::prove_first({kNetwork, network().vni, instance_id(1)}, said, {{"cloud-a", authority}},
                                          sphere.clock.wall_now());
  ASSERT_TRUE(until) << until.error().message;
  EXPECT_EQ(until->time_since_epoch().count(), said.until_ms);
  EXPECT_EQ(tell(b, said), said) << "and believed by others";
  a1.sync();
  EXPECT_EQ(a1.desired.networks.at(0).members.at(0).location.claim, said.claim) << "its own switch shows it";
}

TEST_F(CloudLocations, AreRenewedAtHalfOfTheirLifeAndTheSameUntilThen) {
  running(1);
  const auto first = tell(b, said_by(a));
  sphere.advance(crypto::kLocationRecordLife / 2 - Seconds{60});
  a.restart();
  a1.sync();
  EXPECT_EQ(said_by(a), first);
  sphere.advance(Seconds{60});
  a1.sync();
  const auto second = said_by(a);
  EXPECT_NE(second.claim, first.claim);
  EXPECT_EQ(tell(b, second), second);
  sphere.advance(crypto::kLocationRecordLife / 2);
  EXPECT_GT(second.until_ms, sphere.clock.wall_now().time_since_epoch().count()) << "the first one has ended by now";
}

TEST_F(CloudLocations, WhatOthersHaveIsBelievedOfNobodyElse) {
  running(1);
  const auto truth = said_by(a);
  EXPECT_EQ(tell(b, {"cloud-c", "c1", "198.51.100.7", 7100, 1}).version, 0U) << "nothing is shown";
  EXPECT_EQ(tell(b, truth), truth);
  for (const auto version : {1U, 2U, 99U}) {
    EXPECT_EQ(tell(b, signed_by(c, "c1", version)), truth);
    EXPECT_EQ(tell(a, signed_by(c, "c1", version)).host, "a1");
    a1.sync();
    EXPECT_EQ(a1.desired.networks.at(0).members.at(0).location.host, "a1");
  }
  auto altered = truth;
  altered.version = 2;
  EXPECT_EQ(tell(b, altered), truth);
  b.restart();
  EXPECT_EQ(tell(b, signed_by(c, "c1", 99)), truth);
}

TEST_F(CloudLocations, WhatHasMovedIsBelievedByAll) {
  arrived(ordered());
  const auto said = said_by(b);
  EXPECT_EQ(said.host, "b1");
  EXPECT_EQ(said.version, 2U);
  EXPECT_EQ(tell(c, said), said);
  EXPECT_EQ(tell(a, said), said) << "also where it has left";
  b1.sync();
  EXPECT_EQ(overlay::hand_offs_of(b1.desired.networks.at(0).members.at(0).location.claim).size(), 1U);

  // Its hand-off ends after a day; by then all have heard.
  sphere.advance(crypto::kLocationRecordLife / 2);
  for (auto* host : {&a1, &b1}) host->sync();
  EXPECT_EQ(tell(c, said_by(b)).version, 2U);
  sphere.advance(crypto::kLocationRecordLife / 2 + Seconds{1});
  b1.sync();
  const auto later = said_by(b);
  EXPECT_TRUE(overlay::hand_offs_of(later.claim).empty());
  EXPECT_EQ(tell(c, later), later);
}

TEST_F(CloudLocations, AChainOverThreeCloudsIsFollowedByWhoHeardOnlyOfItsEnds) {
  arrived(ordered());
  c.add_image("debian-12", testing::kImageSha);
  testing::ObedientHost c1(c, "c1");
  c1.sync();
  // From b1 to c1.
  const auto there = show(b, instance_id(1)).value();
  wire::TicketRequest request;
  request.migration = migration_id(2);
  request.spec = there.spec;
  request.source_cloud = "cloud-b";
  request.source_host_key = there.host_key;
  const auto grant = at_c<wire::TicketGrant>("POST", "/v1/tickets", wire::encode(request));
  ASSERT_TRUE(grant) << grant.error().message;
  const wire::MigrateRequest order{migration_id(2), *grant, "cloud-c", {}};
  ASSERT_TRUE(
      user<wire::MigrationReport>(b, "POST", "/v1/instances/" + instance_id(1) + "/migrate", wire::encode(order)));
  b1.sync();
  const auto hand_offs = b1.desired.migrations.at(0).hand_offs;
  EXPECT_EQ(hand_offs.size(), 2U) << "of a to b, and of b to c";
  const wire::RedeemRequest redeem{grant->ticket, "cloud-b", there.host_key, there.spec, 2};
  const auto answer = c.told<wire::RedeemAnswer>(
      CloudBench::as_host("c1", "cloud-c", "/v1/agent/tickets/redeem", wire::encode(redeem)));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->location_version, 3U);
  const auto release = "/v1/agent/migrations/" + migration_id(2) + "/release";
  ASSERT_TRUE(b.told<wire::DecisionAnswer>(CloudBench::as_host("b1", "cloud-b", release)));
  const auto claim = overlay::claim_text(answer->location_record, hand_offs).value();
  c1.report.instances.push_back({instance_id(1), InstanceState::running, true, 3, "", claim});
  c1.say(migration_id(2), MigrationRole::destination, MigrationPhase::completed);

  const auto said = said_by(c);
  EXPECT_EQ(said.host, "c1");
  for (auto* cloud : {&a, &b}) {
    cloud->restart();
    EXPECT_EQ(tell(*cloud, said), said) << cloud->name();
  }
}

TEST_F(CloudLocations, WhoHeardNothingForADayBelievesSkyAnew) {
  ordered();
  EXPECT_EQ(tell(c, signed_by(b, "b1", 2)).host, "a1");
  sphere.advance(crypto::kLocationRecordLife + Seconds{1});
  EXPECT_EQ(tell(c, signed_by(b, "b1", 2)).host, "b1");
}

TEST_F(CloudLocations, WhatAPersonHasFencedIsBelievedOnSkysWord) {
  ordered();
  auto granted = with_member(signed_by(b, "b1", 2));
  granted.members[0].granted_to = "cloud-b";
  granted.members[0].granted_version = 2;
  const auto told = [&](const wire::Location& location) {
    granted.members[0].location = location;
    return at_c<wire::Network>("PUT", "/v1/networks/" + kNetwork, wire::encode(granted))->members[0].location.host;
  };
  EXPECT_EQ(told(signed_by(c, "c1", 2)), "a1") << "nobody else";
  EXPECT_EQ(told(signed_by(b, "b1", 3)), "a1") << "no other version";
  EXPECT_EQ(told({"cloud-b", "b1", "198.51.100.7", 7100, 2}), "a1") << "signed it must be still";
  EXPECT_EQ(told(signed_by(b, "b1", 2)), "b1");
}

TEST_F(CloudLocations, AHandOffIsShownWithTheVoteAndNotBefore) {
  const auto hand_offs = ordered();
  ASSERT_EQ(hand_offs.size(), 1U);
  const auto said = crypto::read_hand_off(*crypto::statement_from_text(hand_offs[0]));
  ASSERT_TRUE(said);
  EXPECT_EQ(said->to_host, "b1");
  EXPECT_EQ(said->epoch, redeemed.location_version);
  a.restart();
  a1.sync();
  EXPECT_EQ(a1.desired.migrations.at(0).hand_offs, hand_offs);
  EXPECT_EQ(vote("release", 1), Decision::released);
  const auto answer = asked_by_destination();
  EXPECT_EQ(answer.decision, Decision::released);
  EXPECT_EQ(answer.hand_offs, hand_offs);
}

TEST_F(CloudLocations, AnAbortedMigrationLeavesItsDestinationNothing) {
  ordered();
  const auto answer = asked_by_destination();
  EXPECT_EQ(answer.decision, Decision::aborted);
  EXPECT_TRUE(answer.hand_offs.empty());
  wire::Location lie{"cloud-b", "b1", "198.51.100.7", 7100, 2};
  lie.claim = overlay::claim_text(redeemed.location_record, {}).value();
  EXPECT_EQ(tell(c, lie).host, "a1");
  EXPECT_EQ(tell(c, signed_by(b, "b1", 2)).host, "a1");
}

TEST_F(CloudLocations, ASourceThatIsBehindIsRefused) {
  const auto instance = running(1);
  auto at_b = signed_by(b, "b2", 5);
  ASSERT_EQ(tell(b, at_b).version, 5U);
  const auto grant = ticket(ticket_request(instance, 1));
  ASSERT_TRUE(grant);
  auto request = redeem_request(instance, *grant);
  request.location_version = 1;
  EXPECT_EQ(redeem(request).error().code, Errc::conflict);
}

TEST_F(CloudLocations, AnotherVniIsSignedAnew) {
  running(1);
  const auto first = said_by(a);
  auto redrawn = network();
  redrawn.vni = 78;
  redrawn.members = with_member({}).members;
  ASSERT_TRUE(user<wire::Network>(a, "PUT", "/v1/networks/" + kNetwork, wire::encode(redrawn)));
  a1.sync();
  const auto said = user<wire::Network>(a, "GET", "/v1/networks/" + kNetwork)->members.at(0).location;
  const auto record = crypto::read_location_record(overlay::claim_from_text(said.claim)->record);
  EXPECT_EQ(record->vni, 78U);
}

}  // namespace
}  // namespace godwit::api
