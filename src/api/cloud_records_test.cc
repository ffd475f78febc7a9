// The keys of hosts' switches over a cloud's API: told by hosts, signed by their cloud, carried to the others.
#include "crypto/host_record.h"
#include "support/two_clouds.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::instance_id;
using testing::kNetwork;

constexpr std::chrono::hours kHalfLife = crypto::kHostRecordLife / 2;

class CloudRecords : public testing::TwoClouds {
 protected:
  CloudRecords() {
    a1.report.overlay_key = std::string(64, '1');
    a2.report.overlay_key = std::string(64, '2');
    for (auto* host : {&a1, &a2}) host->sync();
  }
  [[nodiscard]] Result<crypto::HostRecord> opened(const std::string& text) {
    const auto bytes = crypto::statement_from_text(text);
    if (!bytes) return pass(bytes);
    const auto authority = crypto::Authority::from_pem("cloud-a", a.ca());
    if (!authority) return pass(authority);
    return crypto::open_host_record(*bytes, *authority, sphere.clock.wall_now());
  }
  // Where member 1 is, as its cloud says it to sky.
  wire::Location said_to_sky() {
    auto network = TwoClouds::network();
    wire::Member member;
    member.instance = instance_id(1);
    member.name = "node-1";
    member.mac = "02:67:00:00:00:01";
    member.ip = "10.77.0.11";
    network.members = {member};
    const auto merged = user<wire::Network>(a, "PUT", "/v1/networks/" + kNetwork, wire::encode(network));
    EXPECT_TRUE(merged) << merged.error().message;
    return merged ? merged->members[0].location : wire::Location{};
  }
};

TEST_F(CloudRecords, AHostIsGivenARecordOfItsKey) {
  const auto record = opened(a1.sync().host_record);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->cloud, "cloud-a");
  EXPECT_EQ(record->host, "a1");
  EXPECT_EQ(to_hex(record->key), a1.report.overlay_key);
  EXPECT_EQ(record->profile, crypto::SessionProfile::native);
}

TEST_F(CloudRecords, OneThatTellsNoKeyHasNone) { EXPECT_EQ(b1.sync().host_record, ""); }

TEST_F(CloudRecords, StayTheSameUntilHalfOfTheirLifeHasPassed) {
  const auto first = a1.sync();
  sphere.advance(kHalfLife - Seconds{60});
  EXPECT_EQ(a1.sync().generation, first.generation) << "nothing has changed";
  a.restart();
  EXPECT_EQ(a1.sync().host_record, first.host_record) << "a restart changes nothing";
  sphere.advance(Seconds{60});
  const auto second = a1.sync();
  EXPECT_NE(second.host_record, first.host_record);
  EXPECT_EQ(second.generation, first.generation + 1);
  sphere.advance(kHalfLife);
  EXPECT_FALSE(opened(first.host_record)) << "it has expired";
  EXPECT_TRUE(opened(second.host_record));
}

TEST_F(CloudRecords, AnotherKeyIsAnotherRecord) {
  const auto first = a1.sync();
  a1.report.overlay_key = std::string(64, '3');
  const auto second = a1.sync();
  EXPECT_EQ(to_hex(opened(second.host_record)->key), a1.report.overlay_key);
  a1.report.overlay_key.clear();
  EXPECT_EQ(a1.sync().host_record, second.host_record) << "its agent has just been restarted";
}

TEST_F(CloudRecords, NoHostIsGivenAnothersKey) {
  const auto first = a1.sync();
  a1.report.overlay_key = a2.report.overlay_key;
  EXPECT_EQ(a1.sync().host_record, first.host_record);
}

TEST_F(CloudRecords, AHostThatWasRenamedKeepsItsKey) {
  const auto key = std::exchange(a1.report.overlay_key, "");
  sphere.advance(crypto::kHostRecordLife);
  a2.report.overlay_key = key;
  EXPECT_EQ(to_hex(opened(a2.sync().host_record)->key), key) << "nobody has it any more";
}

TEST_F(CloudRecords, AKeyMustBeOne) {
  for (const auto& key : {std::string("12"), std::string(64, 'x'), std::string(64, '0'), std::string(66, '1')}) {
    auto report = a1.report;
    report.overlay_key = key;
    const auto answer = a.sync(report);
    ASSERT_FALSE(answer) << key;
    EXPECT_EQ(answer.error().code, Errc::invalid_argument);
  }
}

TEST_F(CloudRecords, GoWithEachLocation) {
  running(1);
  const auto location = said_to_sky();
  EXPECT_EQ(location.host, "a1");
  EXPECT_EQ(location.record, a1.sync().host_record);
  EXPECT_EQ(a1.desired.networks.at(0).members.at(0).location.record, location.record);
}

TEST_F(CloudRecords, AnotherCloudCarriesThemToItsHosts) {
  running(1);
  auto network = TwoClouds::network();
  wire::Member member{instance_id(1), "node-1", "02:67:00:00:00:01", "10.77.0.11", {}, said_to_sky()};
  network.members = {member};
  const auto told = user<wire::Network>(b, "PUT", "/v1/networks/" + kNetwork, wire::encode(network));
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(told->members[0].location.record, a1.desired.host_record);

  const auto renewed = crypto::kHostRecordLife / 2;
  sphere.advance(renewed);
  a1.sync();
  network.members[0].location = said_to_sky();
  const auto again = user<wire::Network>(b, "PUT", "/v1/networks/" + kNetwork, wire::encode(network));
  EXPECT_EQ(again->members[0].location.record, a1.desired.host_record) << "a renewed one takes the old one's place";
  EXPECT_TRUE(opened(again->members[0].location.record));

  network.members[0].location.record = std::string(wire::kRecordText + 1, 'x');
  EXPECT_FALSE(user<wire::Network>(b, "PUT", "/v1/networks/" + kNetwork, wire::encode(network)));
}

}  // namespace
}  // namespace godwit::api
