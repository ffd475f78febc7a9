// Hosts over a cloud's API: joining, reporting, long polls.
#include "support/two_clouds.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::CloudBench;
using testing::instance_id;

class CloudHosts : public testing::TwoClouds {
 protected:
  Result<wire::JoinAnswer> join(const std::string& token, const std::string& name, const std::string& csr) {
    return a.told<wire::JoinAnswer>(
        CloudBench::as_user(token, "POST", "/v1/join", wire::encode(wire::JoinRequest{name, csr})));
  }
  static std::string csr_of(const crypto::Key& key) { return crypto::make_request(key, "a3.cloud-a.godwit").value(); }
};

// ---- the long poll

TEST_F(CloudHosts, AreAnsweredAtOnceWhenTheirStateIsAnother) {
  auto report = a1.report;
  report.wait_ms = 5'000;
  report.seen_generation = 0;
  EXPECT_TRUE(a.sync(report)) << "it knows nothing yet";
}

TEST_F(CloudHosts, WaitUntilTheirStateChanges) {
  auto report = a1.report;
  report.wait_ms = 30'000;
  const auto answer = a.begin(CloudBench::as_host("a1", "cloud-a", "/v1/agent/sync", wire::encode(report)));
  EXPECT_FALSE(*answer);
  ASSERT_TRUE(run(a, run_request(1, "a2")));
  sphere.settle();
  EXPECT_FALSE(*answer) << "that was for another host";
  ASSERT_TRUE(run(a, run_request(2, "a1")));
  sphere.settle();
  ASSERT_TRUE(*answer);
  const auto desired = wire::decode<wire::DesiredState>((*answer)->body);
  EXPECT_EQ(desired->generation, report.seen_generation + 1);
  ASSERT_EQ(desired->instances.size(), 1U);
  EXPECT_EQ(desired->instances[0].spec.id, instance_id(2));
}

TEST_F(CloudHosts, AreAnsweredTheSameWhenNothingChanges) {
  auto report = a1.report;
  report.wait_ms = 3'000;
  const auto answer = a.begin(CloudBench::as_host("a1", "cloud-a", "/v1/agent/sync", wire::encode(report)));
  sphere.advance(Millis{2'999});
  EXPECT_FALSE(*answer);
  sphere.advance(Millis{1});
  ASSERT_TRUE(*answer);
  EXPECT_EQ(wire::decode<wire::DesiredState>((*answer)->body)->generation, report.seen_generation);
}

TEST_F(CloudHosts, AWaitingHostIsNotSilent) {
  auto report = a1.report;
  report.wait_ms = 3'600'000;
  const auto answer = a.begin(CloudBench::as_host("a1", "cloud-a", "/v1/agent/sync", wire::encode(report)));
  sphere.advance(Seconds{10});
  EXPECT_TRUE(*answer) << "no host is kept waiting for longer than it may be silent";
  EXPECT_TRUE(user<wire::HostList>(a, "GET", "/v1/hosts")->hosts[0].alive);
}

TEST_F(CloudHosts, GenerationsGoOnAfterARestart) {
  ASSERT_TRUE(run(a, run_request(1, "a1")));
  const auto before = a1.sync().generation;
  a.restart();
  EXPECT_EQ(a1.sync().generation, before);
  ASSERT_TRUE(run(a, run_request(2, "a1")));
  EXPECT_EQ(a1.sync().generation, before + 1);
}

TEST_F(CloudHosts, SpeakForThemselvesAlone) {
  const auto as_a2 = CloudBench::as_host("a2", "cloud-a", "/v1/agent/sync", wire::encode(a1.report));
  EXPECT_EQ(a.ask(as_a2).status, 403);
  EXPECT_EQ(a.ask(CloudBench::as_host("b1", "cloud-b", "/v1/agent/sync", wire::encode(b1.report))).status, 403);
  EXPECT_EQ(a.ask(CloudBench::as_user(alice_a, "POST", "/v1/agent/sync", wire::encode(a1.report))).status, 401);
}

TEST_F(CloudHosts, ReportsAreBounded) {
  auto report = a1.report;
  report.instances.assign(5000, {instance_id(1), wire::InstanceState::running, true, 1, ""});
  EXPECT_EQ(a.sync(report).error().code, Errc::invalid_argument);
  report = a1.report;
  report.instances = {{"i-../../x", wire::InstanceState::running, true, 1, ""}};
  EXPECT_EQ(a.sync(report).error().code, Errc::invalid_argument);
  const auto send = [&](std::string body) {
    return a.ask(CloudBench::as_host("a1", "cloud-a", "/v1/agent/sync", std::move(body))).status;
  };
  EXPECT_EQ(send("{"), 400);
  EXPECT_EQ(send(std::string(100'000, '[')), 400);
  EXPECT_EQ(send(R"({"host":"a1","wait_ms":-1})"), 400);
  EXPECT_EQ(send(std::string(5UL * 1024 * 1024, ' ')), 400);
}

// ---- joining

TEST_F(CloudHosts, JoinOnceWithATokenOfTheirOwn) {
  const auto issued = a.cloud().accounts().issue_join_token({"a3", 3600});
  ASSERT_TRUE(issued);
  const auto key = crypto::Key::generate().value();
  const auto csr = csr_of(key);
  EXPECT_EQ(join(issued->token, "a4", csr).error().code, Errc::denied);
  EXPECT_EQ(join("gwjoin_guess", "a3", csr).error().code, Errc::not_authentic);
  EXPECT_EQ(join(issued->token, "a3", "garbage").error().code, Errc::invalid_argument);
  const auto joined = join(issued->token, "a3", csr);
  ASSERT_TRUE(joined) << joined.error().message;
  const auto certificate = crypto::inspect_certificate(joined->certificate_pem);
  EXPECT_EQ(certificate->name, "a3.cloud-a.godwit");
  EXPECT_EQ(certificate->key_sha256, key.sha256());
  EXPECT_FALSE(certificate->authority);
  EXPECT_EQ(issued->ca_sha256, crypto::sha256_hex(as_bytes(joined->ca_pem)));
  a.restart();
  EXPECT_EQ(join(issued->token, "a3", csr)->certificate_pem, joined->certificate_pem) << "the answer was lost";
  EXPECT_EQ(join(issued->token, "a3", csr_of(crypto::Key::generate().value())).error().code, Errc::not_authentic);
}

TEST_F(CloudHosts, AnExpiredJoinTokenIsRefused) {
  const auto issued = a.cloud().accounts().issue_join_token({"a3", 60});
  sphere.advance(Seconds{60});
  EXPECT_EQ(join(issued->token, "a3", csr_of(crypto::Key::generate().value())).error().code, Errc::not_authentic);
}

TEST_F(CloudHosts, AHostThatJoinsAgainLocksItsOldKeyOut) {
  const auto issued = a.cloud().accounts().issue_join_token({"a1", 60});
  const auto key = crypto::Key::generate().value();
  ASSERT_TRUE(join(issued->token, "a1", csr_of(key)));
  EXPECT_EQ(a.sync(a1.report).error().code, Errc::not_authentic);
  auto renewed = CloudBench::as_host("a1", "cloud-a", "/v1/agent/sync", wire::encode(a1.report));
  renewed.peer->key_sha256 = key.sha256();
  EXPECT_EQ(a.ask(renewed).status, 200);
}

TEST_F(CloudHosts, OnlyOperatorsMakeJoinTokens) {
  const auto body = R"({"host":"a3"})";
  EXPECT_EQ(user(a, "POST", "/v1/join-tokens", body).error().code, Errc::denied);
  const auto root = a.add_user("root", {}, true);
  EXPECT_EQ(a.ask(CloudBench::as_user(root, "POST", "/v1/join-tokens", body)).status, 200);
  EXPECT_EQ(a.ask(CloudBench::as_user(root, "POST", "/v1/join-tokens", R"({"host":"api"})")).status, 400);
}

}  // namespace
}  // namespace godwit::api
