// Every ticket that must be refused, and what is left behind: nothing.
#include "support/two_clouds.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::CloudBench;
using testing::instance_id;
using testing::kNetwork;
using testing::migration_id;

class CloudTickets : public testing::TwoClouds {
 protected:
  void expect_nothing_reserved() {
    const auto view = user<wire::CloudView>(b, "GET", "/v1/cloud");
    EXPECT_EQ(view->used.instances, 0U);
    b1.sync();
    EXPECT_TRUE(b1.desired.instances.empty());
    EXPECT_TRUE(b1.desired.networks.empty());
  }
  void expect_refused(const Result<wire::RedeemAnswer>& redeemed, Errc code, const std::string& reason) {
    ASSERT_FALSE(redeemed);
    EXPECT_EQ(redeemed.error().code, code) << redeemed.error().message;
    EXPECT_NE(redeemed.error().message.find(reason), std::string::npos) << redeemed.error().message;
    b1.sync();
    EXPECT_TRUE(b1.desired.instances.empty());
  }
};

// ---- admission

TEST_F(CloudTickets, AdmissionSaysWhyNot) {
  const auto instance = running(1);
  const auto refused = [&](auto change) {
    auto request = ticket_request(instance, 1);
    change(request);
    const auto grant = ticket(request);
    return grant ? Error{Errc::internal, "granted"} : grant.error();
  };
  using R = wire::TicketRequest;
  EXPECT_EQ(refused([](R& r) { r.spec.image_sha256 = std::string(64, 'f'); }).code, Errc::unavailable);
  EXPECT_EQ(refused([](R& r) { r.spec.machine_type = "pc-q35-9.2"; }).code, Errc::unsupported);
  EXPECT_EQ(refused([](R& r) { r.spec.cpu_model = "EPYC"; }).code, Errc::unsupported);
  EXPECT_EQ(refused([](R& r) { r.spec.accelerator = "kvm"; }).code, Errc::unsupported);
  EXPECT_EQ(refused([](R& r) { r.spec.queue_pairs = 2; }).code, Errc::unsupported);  // hosts of before
  EXPECT_EQ(refused([](R& r) { r.spec.queue_pairs = 9; }).code, Errc::invalid_argument);
  EXPECT_EQ(refused([](R& r) { r.spec.tenant = "bob"; }).code, Errc::denied);
  EXPECT_EQ(refused([](R& r) { r.spec.memory_mib = 64; }).code, Errc::invalid_argument);
  EXPECT_EQ(refused([](R& r) { r.spec.machine_type = ""; }).code, Errc::invalid_argument);
  EXPECT_EQ(refused([](R& r) { r.spec.name = "-drive"; }).code, Errc::invalid_argument);
  EXPECT_EQ(refused([](R& r) { r.source_host_key = "short"; }).code, Errc::invalid_argument);
  EXPECT_EQ(refused([](R& r) { r.migration = "mig-1"; }).code, Errc::invalid_argument);
  EXPECT_EQ(refused([](R& r) { r.destination_host = "b9"; }).code, Errc::not_found);
  EXPECT_EQ(refused([](R& r) { r.source_cloud = "cloud-c"; }).code, Errc::conflict);
  EXPECT_EQ(refused([](R& r) { r.spec.interface.network = "net-00000000000000009"; }).code, Errc::not_found);
  expect_nothing_reserved();
}

// Who says that an instance runs of it gets no disk on it.
TEST_F(CloudTickets, AnotherTenantsImageIsAsIfNoHostHadIt) {
  const std::string bobs(64, 'c');
  const std::string nobodys(64, 'd');
  b1.report.images.push_back({"secret", bobs});
  b1.sync();
  const auto named = [&](const std::string& tenant) {
    const cloud::User user{tenant, {}, false};
    return b.cloud().images().name_content(user, {"secret", bobs, "", "a manifest", "a signature"});
  };
  ASSERT_TRUE(named("bob"));
  const auto instance = running(1);
  const auto refused = [&](const std::string& content) {
    auto request = ticket_request(instance, 1);
    request.spec.image_sha256 = content;
    auto text = ticket(request).error().message;
    const auto at = text.find(content.substr(0, 12));
    return at == std::string::npos ? text : text.replace(at, 12, "CONTENT");
  };
  EXPECT_EQ(refused(bobs), refused(nobodys));
  EXPECT_NE(refused(bobs).find("does not have image"), std::string::npos);
  expect_nothing_reserved();
  ASSERT_TRUE(named("alice"));
  auto request = ticket_request(instance, 1);
  request.spec.image_sha256 = bobs;
  EXPECT_TRUE(ticket(request));
}

// Its name went while it ran.
TEST_F(CloudTickets, AnInstanceWhoseImageHasNoNameAnyMoreMovesWithinItsCloud) {
  const auto there = run(b, run_request(1, "b1"));
  ASSERT_TRUE(there);
  b1.obey();
  ASSERT_TRUE(b.cloud().images().remove({"root", {}, true}, "debian-12"));
  auto request = ticket_request(show(b, instance_id(1)).value(), 1);
  request.source_cloud = "cloud-b";
  request.destination_host = "b2";
  const auto granted = ticket(request);
  EXPECT_TRUE(granted) << granted.error().message;
}

TEST_F(CloudTickets, AFullQuotaOrHostIsRefused) {
  const auto instance = running(1);
  ASSERT_TRUE(b.cloud().accounts().put_tenant("alice", {1, 40, 65536}, false));
  auto own = run_request(5, "b2");
  ASSERT_TRUE(run(b, own));
  const auto refused = ticket(ticket_request(instance, 1));
  EXPECT_EQ(refused.error().code, Errc::exhausted);
  EXPECT_NE(refused.error().message.find("quota of 1 instances is full"), std::string::npos);
  ASSERT_TRUE(b.cloud().accounts().put_tenant("alice", {}, false));
  b1.report.capacity.memory_mib = 256;
  b1.sync();
  EXPECT_EQ(ticket(ticket_request(instance, 1)).error().code, Errc::exhausted);
}

TEST_F(CloudTickets, AReservationHoldsItsRoomForTwoMinutes) {
  b1.report.capacity.memory_mib = 512;
  b1.sync();
  const auto first = running(1);
  const auto second = running(2);
  ASSERT_TRUE(ticket(ticket_request(first, 1)));
  EXPECT_EQ(ticket(ticket_request(second, 2)).error().code, Errc::exhausted);
  b.restart();
  EXPECT_EQ(ticket(ticket_request(second, 2)).error().code, Errc::exhausted);
  for (int i = 0; i < 12; ++i) {
    sphere.advance(Seconds{10});
    b1.sync();
  }
  EXPECT_TRUE(ticket(ticket_request(second, 3)));
}

TEST_F(CloudTickets, ANewOneTakesThePlaceOfAnUnusedOne) {
  const auto instance = running(1);
  const auto old = ticket(ticket_request(instance, 1));
  ASSERT_TRUE(old);
  ASSERT_TRUE(ticket(ticket_request(instance, 2)));
  EXPECT_EQ(user<wire::CloudView>(b, "GET", "/v1/cloud")->used.instances, 1U);
  expect_refused(redeem(redeem_request(instance, *old)), Errc::conflict, "a newer one took its place");
}

TEST_F(CloudTickets, AnIdIsGoodForOneContent) {
  const auto first = running(1);
  const auto second = running(2);
  ASSERT_TRUE(ticket(ticket_request(first, 1)));
  EXPECT_EQ(ticket(ticket_request(second, 1)).error().code, Errc::conflict);
}

TEST_F(CloudTickets, AnInstanceThatIsHereNeedsNone) {
  const auto instance = running(1);
  auto same = run_request(1, "b1");
  ASSERT_TRUE(run(b, same));
  EXPECT_EQ(ticket(ticket_request(instance, 1)).error().code, Errc::conflict);
}

// ---- redemption

TEST_F(CloudTickets, AnExpiredOneIsRefusedByItsIssuersClock) {
  const auto instance = running(1);
  const auto grant = ticket(ticket_request(instance, 1));
  sphere.advance(Seconds{120});
  expect_refused(redeem(redeem_request(instance, *grant)), Errc::timed_out, "it expired at 2027-01-15 08:18:40 UTC");
  expect_nothing_reserved();
}

TEST_F(CloudTickets, AnAlteredOneIsRefused) {
  const auto instance = running(1);
  const auto grant = ticket(ticket_request(instance, 1));
  auto request = redeem_request(instance, *grant);
  for (std::size_t at = 0; at < request.ticket.size(); at += 7) {
    auto altered = request;
    altered.ticket[at] = altered.ticket[at] == 'A' ? 'B' : 'A';
    const auto redeemed = redeem(altered);
    ASSERT_FALSE(redeemed) << at;
    EXPECT_TRUE(redeemed.error().code == Errc::not_authentic || redeemed.error().code == Errc::invalid_argument) << at;
  }
  request.ticket = std::string(200UL * 1024, 'A');
  EXPECT_FALSE(redeem(request));
  request.ticket = "";
  EXPECT_FALSE(redeem(request));
  b1.sync();
  EXPECT_TRUE(b1.desired.instances.empty());
}

TEST_F(CloudTickets, OneOfAnotherCloudIsRefused) {
  const auto instance = running(1);
  auto request = ticket_request(instance, 1);
  request.destination_host = "a2";
  const auto foreign = user<wire::TicketGrant>(a, "POST", "/v1/tickets", wire::encode(request));
  ASSERT_TRUE(foreign) << foreign.error().message;
  expect_refused(redeem(redeem_request(instance, *foreign)), Errc::not_authentic, "cloud-b");
}

TEST_F(CloudTickets, ItBindsHostsInstanceAndShape) {
  const auto instance = running(1);
  const auto grant = ticket(ticket_request(instance, 1));
  auto request = redeem_request(instance, *grant);
  expect_refused(redeem(request, "b2"), Errc::denied, "it is for host b1, not b2");
  request.source_host_key = CloudBench::key_of("a2");
  expect_refused(redeem(request), Errc::denied, "another source host");
  request = redeem_request(instance, *grant);
  request.source_cloud = "cloud-c";
  expect_refused(redeem(request), Errc::denied, "another source host");
  request = redeem_request(instance, *grant);
  request.spec.memory_mib *= 2;
  expect_refused(redeem(request), Errc::denied, "not as the ticket has it");
  request = redeem_request(instance, *grant);
  request.spec.id = instance_id(9);
  expect_refused(redeem(request), Errc::denied, "not as the ticket has it");
  EXPECT_TRUE(redeem(redeem_request(instance, *grant))) << "none of them has used it up";
}

TEST_F(CloudTickets, AUsedOneIsRefusedAlsoAfterARestart) {
  const auto instance = running(1);
  const auto grant = ticket(ticket_request(instance, 1));
  ASSERT_TRUE(redeem(redeem_request(instance, *grant)));
  b1.say(migration_id(1), wire::MigrationRole::destination, wire::MigrationPhase::aborted);
  b.restart();
  expect_refused(redeem(redeem_request(instance, *grant)), Errc::conflict, "it was used at 2027-01-15 08:16:40 UTC");
  expect_nothing_reserved();
}

TEST_F(CloudTickets, OnlyAHostOfThisCloudRedeems) {
  const auto instance = running(1);
  const auto grant = ticket(ticket_request(instance, 1));
  const auto body = wire::encode(redeem_request(instance, *grant));
  const auto status = [&](std::optional<sys::PeerIdentity> peer) {
    auto request = CloudBench::as_host("b1", "cloud-b", "/v1/agent/tickets/redeem", body);
    request.peer = std::move(peer);
    return b.ask(request).status;
  };
  EXPECT_EQ(status(std::nullopt), 401);
  EXPECT_EQ(status(sys::PeerIdentity{"b1.cloud-b.godwit", "cloud-a", "k"}), 403) << "another cloud's CA signed it";
  EXPECT_EQ(status(sys::PeerIdentity{"b1.cloud-a.godwit", "cloud-b", "k"}), 403);
  EXPECT_EQ(status(sys::PeerIdentity{"x.b1.cloud-b.godwit", "cloud-b", "k"}), 403);
  EXPECT_EQ(status(sys::PeerIdentity{"api.cloud-b.godwit", "cloud-b", "k"}), 403);
  EXPECT_EQ(status(sys::PeerIdentity{"b1.cloud-b.godwit", "cloud-b", "k"}), 200);
}

TEST_F(CloudTickets, TheReservationIsRenewedUntilTheMigrationEnds) {
  const auto instance = running(1);
  const auto grant = ticket(ticket_request(instance, 1));
  ASSERT_TRUE(redeem(redeem_request(instance, *grant)));
  for (int i = 0; i < 60; ++i) {
    sphere.advance(Seconds{10});
    b1.say(migration_id(1), wire::MigrationRole::destination, wire::MigrationPhase::memory);
  }
  EXPECT_EQ(user<wire::CloudView>(b, "GET", "/v1/cloud")->used.instances, 1U);
  ASSERT_NE(b1.desires(instance_id(1)), nullptr);
  ASSERT_TRUE(b.cloud().prune());
  ASSERT_TRUE(redeem(redeem_request(instance, *grant))) << "idempotent while it is open";
}

}  // namespace
}  // namespace godwit::api
