// Networks over clouds, and whom a cloud and its hosts believe because of them.
#include "overlay/location_claim.h"
#include "support/two_clouds.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::CloudBench;
using testing::instance_id;
using testing::kNetwork;

class CloudNetworks : public testing::TwoClouds {
 protected:
  static wire::Member member(int number) {
    wire::Member out;
    out.instance = instance_id(number);
    out.name = fmt::format("node-{}", number);
    out.mac = fmt::format("02:67:00:00:00:{:02x}", number);
    out.ip = fmt::format("10.77.0.{}", 10 + number);
    return out;
  }
  // Of member 2, as cloud b says it.
  wire::Location at_b(const std::string& host, std::uint64_t version) {
    const auto now = sphere.clock.wall_now();
    const crypto::LocationRecord record{"cloud-b",
                                        host,
                                        kNetwork,
                                        network().vni,
                                        instance_id(2),
                                        version,
                                        crypto::LocationGrant::here,
                                        {now, now + crypto::kLocationRecordLife}};
    wire::Location out{"cloud-b", host, "198.51.100.7", 7100, version};
    out.claim = overlay::claim_to_text({crypto::sign_location_record(record, b.authority()).value(), {}});
    return out;
  }
  Result<wire::Network> tell(CloudBench& cloud, const wire::Network& network) {
    return user<wire::Network>(cloud, "PUT", "/v1/networks/" + network.id, wire::encode(network));
  }
  Result<wire::json::value> introduce_as(CloudBench& cloud, const std::string& name, const std::string& pem) {
    return user(cloud, "PUT", "/v1/networks/" + kNetwork + "/peers", wire::encode(wire::NetworkPeers{{{name, pem}}}));
  }
};

TEST_F(CloudNetworks, TheCloudKnowsWhereItsOwnMembersAre) {
  auto network = TwoClouds::network();
  network.members = {member(1), member(2)};
  network.members[1].location = at_b("b1", 4);
  ASSERT_TRUE(tell(a, network));
  running(1);
  const auto merged = tell(a, network);
  ASSERT_TRUE(merged);
  auto location = merged->members[0].location;
  EXPECT_FALSE(location.claim.empty());
  location.claim.clear();
  location.until_ms = 0;
  EXPECT_EQ(location, (wire::Location{"cloud-a", "a1", "192.0.2.10", 7100, 1}));
  EXPECT_EQ(merged->members[1].location.version, 4U);
  a1.sync();
  ASSERT_EQ(a1.desired.networks.size(), 1U);
  EXPECT_EQ(a1.desired.networks[0].members[0].location.host, "a1");
}

TEST_F(CloudNetworks, TheNewerLocationOfACloudsOwnWins) {
  auto network = TwoClouds::network();
  network.members = {member(2)};
  network.members[0].location = at_b("b1", 4);
  ASSERT_TRUE(tell(a, network));
  network.members[0].location = at_b("b2", 3);
  EXPECT_EQ(tell(a, network)->members[0].location.host, "b1");
  a.restart();
  network.members[0].location = at_b("b2", 5);
  EXPECT_EQ(tell(a, network)->members[0].location.host, "b2");
}

TEST_F(CloudNetworks, MembersThatSkyDropsAreGone) {
  auto network = TwoClouds::network();
  network.members = {member(1), member(2)};
  ASSERT_TRUE(tell(a, network));
  network.members.pop_back();
  EXPECT_EQ(tell(a, network)->members.size(), 1U);
  EXPECT_EQ(user<wire::Network>(a, "GET", "/v1/networks/" + kNetwork)->members.size(), 1U);
}

TEST_F(CloudNetworks, RefusesWhatMakesNoSense) {
  const auto refused = [&](auto change) {
    auto network = TwoClouds::network();
    network.members = {member(1), member(2)};
    change(network);
    const auto told = user<wire::Network>(a, "PUT", "/v1/networks/" + kNetwork, wire::encode(network));
    return told ? Errc::internal : told.error().code;
  };
  using N = wire::Network;
  EXPECT_EQ(refused([](N& n) { n.id = "net-00000000000000009"; }), Errc::invalid_argument) << "not the path's";
  EXPECT_EQ(refused([](N& n) { n.vni = 0; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](N& n) { n.key = "short"; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](N& n) { n.tenant = "bob"; }), Errc::denied);
  EXPECT_EQ(refused([](N& n) { n.members[1].mac = n.members[0].mac; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](N& n) { n.members[1].ip = n.members[0].ip; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](N& n) { n.members[1].name = n.members[0].name; }), Errc::invalid_argument);
  auto other = TwoClouds::network();
  other.id = "net-00000000000000002";
  EXPECT_EQ(tell(a, other).error().code, Errc::conflict) << "two networks of one host would share a VNI";
}

TEST_F(CloudNetworks, OneInUseIsNotForgotten) {
  running(1);
  EXPECT_EQ(user(a, "DELETE", "/v1/networks/" + kNetwork).error().code, Errc::conflict);
  ASSERT_TRUE(user(a, "DELETE", "/v1/instances/" + instance_id(1)));
  a1.obey();
  ASSERT_TRUE(user(a, "DELETE", "/v1/networks/" + kNetwork));
  EXPECT_EQ(user(a, "DELETE", "/v1/networks/" + kNetwork).error().code, Errc::not_found);
}

// ---- trust

TEST_F(CloudNetworks, AForeignCaIsTrustedWhileANetworkIntroducesIt) {
  const auto clouds = [&] {
    std::string out;
    for (const auto& each : a.trusted()) out += each.cloud + " ";
    return out;
  };
  EXPECT_EQ(clouds(), "cloud-a cloud-b ");
  a.restart();
  EXPECT_EQ(clouds(), "cloud-a cloud-b ");
  ASSERT_TRUE(user(a, "PUT", "/v1/networks/" + kNetwork + "/peers", R"({"clouds":[]})"));
  EXPECT_EQ(clouds(), "cloud-a ");
  ASSERT_TRUE(introduce_as(a, "cloud-b", b.ca()));
  ASSERT_TRUE(user(a, "DELETE", "/v1/networks/" + kNetwork));
  EXPECT_EQ(clouds(), "cloud-a ");
}

TEST_F(CloudNetworks, NobodyVouchesForThisCloudsOwnName) {
  EXPECT_EQ(introduce_as(a, "cloud-a", b.ca()).error().code, Errc::denied);
  EXPECT_EQ(introduce_as(a, "cloud-a", a.ca()).error().code, Errc::denied);
}

TEST_F(CloudNetworks, ACaMustBeTheOneOfItsCloud) {
  EXPECT_EQ(introduce_as(a, "cloud-c", b.ca()).error().code, Errc::invalid_argument);
  EXPECT_EQ(introduce_as(a, "cloud-c", "no PEM").error().code, Errc::invalid_argument);
  EXPECT_EQ(introduce_as(a, "cloud-c", std::string(64UL * 1024, 'x')).error().code, Errc::invalid_argument);
  EXPECT_EQ(introduce_as(a, "Not a label", b.ca()).error().code, Errc::invalid_argument);
  EXPECT_EQ(a.trusted().size(), 2U) << "what was introduced before stands";
}

TEST_F(CloudNetworks, NoTenantPassesItsOwnHostsOffAsAnotherClouds) {
  const auto mallory = a.add_user("mallory");
  auto network = TwoClouds::network();
  network.id = "net-00000000000000002";
  network.vni = 78;
  const auto ask = [&](std::string path, std::string body) {
    return a.told(CloudBench::as_user(mallory, "PUT", std::move(path), std::move(body)));
  };
  ASSERT_TRUE(ask("/v1/networks/" + network.id, wire::encode(network)));
  CloudBench impostor(sphere, "cloud-b");
  const auto told =
      ask("/v1/networks/" + network.id + "/peers", wire::encode(wire::NetworkPeers{{{"cloud-b", impostor.ca()}}}));
  EXPECT_EQ(told.error().code, Errc::conflict);
  ASSERT_TRUE(ask("/v1/networks/" + network.id + "/peers", wire::encode(wire::NetworkPeers{{{"cloud-b", b.ca()}}})))
      << "the CA that is known is everybody's";
}

}  // namespace
}  // namespace godwit::api
