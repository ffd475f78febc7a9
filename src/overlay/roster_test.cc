// Who may be believed of a host's key: signed records that come with the configuration, with announcements and from
// peers themselves.
#include "overlay/roster.h"

#include "overlay/test_cloud.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

using namespace testing;

constexpr Seconds kHour{3600};

class RosterTest : public ::testing::Test {
 protected:
  RosterTest() { EXPECT_TRUE(roster_.trust({a_.ca(), b_.ca()})); }
  Errc refusal(ByteView record, WallTime now = kWallNow) {
    const auto host = roster_.admit(now, record);
    return host ? Errc::internal : host.error().code;
  }
  static wire::Location at(const crypto::HostRecord& host, ByteView record) {
    return {host.cloud, host.host, "10.1.0.9", 4790, 1, to_base64url(record)};
  }

  TestCloud a_{"cloud-a"};
  TestCloud b_{"cloud-b"};
  Roster roster_;
};

TEST_F(RosterTest, KnowsAHostByTheRecordOfItsCloud) {
  const auto record = a_.sign(a_.host("a1", 1));
  const auto host = roster_.admit(kWallNow, record);
  ASSERT_TRUE(host) << host.error().message;
  EXPECT_EQ(host->host, "a1");
  ASSERT_TRUE(roster_.find(kWallNow, "cloud-a", "a1"));
  EXPECT_EQ(roster_.find(kWallNow, "cloud-a", "a1")->key, a_.host("a1", 1).key);
  EXPECT_FALSE(roster_.find(kWallNow, "cloud-b", "a1"));
}

TEST_F(RosterTest, ACloudSpeaksForItsOwnHostsAlone) {
  auto stolen = a_.host("a1", 1);
  EXPECT_EQ(refusal(b_.sign(stolen)), Errc::not_authentic);
  EXPECT_EQ(refusal(TestCloud("cloud-c").sign(TestCloud("cloud-c").host("c1", 1))), Errc::not_authentic)
      << "nobody has introduced it";
  EXPECT_EQ(refusal(TestCloud("cloud-a").sign(stolen)), Errc::not_authentic) << "another CA of that name";
}

TEST_F(RosterTest, ARecordEndsAlsoWhereItWasBelievedBefore) {
  const auto record = a_.sign(a_.host("a1", 1));
  ASSERT_TRUE(roster_.admit(kWallNow, record));
  const auto later = kWallNow + crypto::kHostRecordLife;
  EXPECT_EQ(refusal(record, later), Errc::timed_out);
  EXPECT_FALSE(roster_.find(later, "cloud-a", "a1"));
}

TEST_F(RosterTest, AHostMayChangeItsKeyAndTheOldOneIsGone) {
  const auto before = a_.sign(a_.host("a1", 1));
  const auto after = a_.sign(a_.host("a1", 2, kWallNow + kHour));
  ASSERT_TRUE(roster_.admit(kWallNow, before));
  ASSERT_TRUE(roster_.admit(kWallNow + kHour, after));
  EXPECT_EQ(refusal(before, kWallNow + kHour), Errc::not_authentic) << "whoever has the old key may have stolen it";
  EXPECT_EQ(roster_.find(kWallNow + kHour, "cloud-a", "a1")->key, a_.host("a1", 2).key);
  EXPECT_EQ(refusal(b_.sign(b_.host("b1", 1, kWallNow + kHour)), kWallNow + kHour), Errc::internal)
      << "the key is nobody's now";
}

TEST_F(RosterTest, ARenewedRecordTakesTheOldOnesPlaceInAnyOrder) {
  const auto before = a_.sign(a_.host("a1", 1));
  const auto after = a_.sign(a_.host("a1", 1, kWallNow + kHour));
  const auto now = kWallNow + kHour;
  ASSERT_TRUE(roster_.admit(now, after));
  ASSERT_TRUE(roster_.admit(now, before));
  EXPECT_EQ(roster_.find(now, "cloud-a", "a1")->validity.until, now + crypto::kHostRecordLife);
}

TEST_F(RosterTest, NobodyTakesAnotherHostsKey) {
  ASSERT_TRUE(roster_.admit(kWallNow, a_.sign(a_.host("a1", 1))));
  EXPECT_EQ(refusal(b_.sign(b_.host("b1", 1))), Errc::not_authentic);
  EXPECT_EQ(refusal(a_.sign(a_.host("a2", 1))), Errc::not_authentic);
  ASSERT_TRUE(roster_.find(kWallNow, "cloud-a", "a1"));
}

TEST_F(RosterTest, ALocationMustBeThatOfItsRecord) {
  const auto a1 = a_.host("a1", 1);
  const auto record = a_.sign(a1);
  EXPECT_TRUE(roster_.check(kWallNow, at(a1, record)));
  EXPECT_FALSE(roster_.check(kWallNow, at(a_.host("a2", 1), record)));
  EXPECT_FALSE(roster_.check(kWallNow, at(b_.host("a1", 1), record)));
  auto garbled = at(a1, record);
  garbled.record = "no base64!";
  EXPECT_FALSE(roster_.check(kWallNow, garbled));
  garbled.record.clear();
  EXPECT_TRUE(roster_.check(kWallNow, garbled)) << "it has none yet";
}

TEST_F(RosterTest, WhatAnAuthoritySignedGoesWithIt) {
  ASSERT_TRUE(roster_.admit(kWallNow, a_.sign(a_.host("a1", 1))));
  ASSERT_TRUE(roster_.admit(kWallNow, b_.sign(b_.host("b1", 2))));
  ASSERT_TRUE(roster_.trust({a_.ca()}));
  EXPECT_TRUE(roster_.find(kWallNow, "cloud-a", "a1"));
  EXPECT_FALSE(roster_.find(kWallNow, "cloud-b", "b1"));
  ASSERT_TRUE(roster_.trust({TestCloud("cloud-a").ca()}));
  EXPECT_FALSE(roster_.find(kWallNow, "cloud-a", "a1")) << "its cloud has another CA";
}

TEST_F(RosterTest, RefusesAuthoritiesThatAreNone) {
  EXPECT_EQ(roster_.trust({{"cloud-a", b_.pem}}).error().code, Errc::invalid_argument);
  EXPECT_EQ(roster_.trust({a_.ca(), a_.ca()}).error().code, Errc::invalid_argument);
  EXPECT_EQ(refusal(a_.sign(a_.host("a1", 1))), Errc::internal) << "nothing has changed";
}

// ---- the switch

class SwitchRecords : public RosterTest {
 protected:
  void configure(wire::Network network) {
    for (auto& member : network.members) {
      if (member.location.cloud == "cloud") member.location.record.clear();  // nobody has introduced it here
    }
    auto config = here_.config(network, {{0, 1}});
    config.authorities = {a_.ca(), b_.ca()};
    config.record = own_;
    ASSERT_TRUE(here_.core().configure(now_, config));
  }
  wire::Location believed(unsigned member) { return here_.core().networks().at(0).members.at(member).location; }
  void announce(const wire::Location& location) {
    crypto::MacKey key(ByteVector(32, std::byte{0xaa}));
    const auto message = encode_control(kVni, {1, Announce{instance_id(1), location}}, key);
    here_.record(now_, 2, {RecordKind::control, 0, kVni, message.size(), {}}, message);
  }

  TimePoint now_{Seconds{1}};
  TestHost here_{1, 1};
  std::string own_{to_base64url(a_.sign(a_.host("a1", 9)))};
};

TEST_F(SwitchRecords, ALocationWithAForgedRecordIsNotBelieved) {
  const auto b1 = b_.host("b1", 2);
  auto network = network_of({1, 0});
  network.members[1].location = at(b1, a_.sign(a_.host("a1", 1)));
  configure(network);
  EXPECT_EQ(believed(1).version, 0U);
  EXPECT_EQ(here_.drops(Drop::not_authentic), 1U);
  network.members[1].location = at(b1, b_.sign(b1));
  configure(network);
  EXPECT_EQ(believed(1).host, "b1");

  auto worse = network;
  worse.members[1].location = at(b1, TestCloud("cloud-b").sign(b1));
  worse.members[1].location.version = 5;
  configure(worse);
  EXPECT_EQ(believed(1).version, 1U) << "what was believed before stays";
}

TEST_F(SwitchRecords, AnAnnouncementWithAForgedRecordIsNotHeard) {
  const auto b1 = b_.host("b1", 2);
  auto network = network_of({1, 0});
  network.members[1].location = at(b1, b_.sign(b1));
  configure(network);
  auto news = at(b_.host("b2", 3), b_.sign(b1));
  news.version = 2;
  news.claim = claim_to_text({b_.says("b2", 2), {}});
  announce(news);
  EXPECT_EQ(believed(1).host, "b1") << "another host's record";
  EXPECT_TRUE(here_.sent.empty()) << "and no answer";
  news.record = to_base64url(b_.sign(b_.host("b2", 3)));
  announce(news);
  EXPECT_EQ(believed(1).host, "b2");
  EXPECT_EQ(believed(1).record, news.record);
}

TEST_F(SwitchRecords, WhatIsHereCarriesThisHostsRecord) {
  configure(network_of({1, 2}));
  EXPECT_EQ(believed(0).record, own_);
  here_.poll(now_);
  const auto kept = here_.core().state();
  EXPECT_EQ(kept.record, own_);
  EXPECT_EQ(kept.authorities.size(), 2U);
}

}  // namespace
}  // namespace godwit::overlay
