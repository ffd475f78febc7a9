// The cloud's part in its content directory: who shares it, and who has whose key.
#include "cloud/content.h"
#include "support/two_clouds.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::CloudBench;

class CloudContent : public testing::TwoClouds {
 protected:
  static std::vector<std::string> siblings_of(const wire::DesiredState& desired) {
    std::vector<std::string> out;
    for (const auto& each : desired.siblings) out.push_back(each.certificate_name);
    return out;
  }
  static const wire::ContentKey* key_of(const wire::DesiredState& desired, const std::string& tenant) {
    for (const auto& each : desired.content_keys) {
      if (each.tenant == tenant) return &each;
    }
    return nullptr;
  }
  void end(int number) {
    ASSERT_TRUE(user(a, "DELETE", "/v1/instances/" + testing::instance_id(number)));
    a1.obey();
  }
};

TEST_F(CloudContent, HostsOfOneCloudThatListenAreSiblings) {
  EXPECT_TRUE(a1.desired.siblings.empty()) << "none of them listens";
  for (auto* host : {&a1, &a2, &b1}) host->report.directory_port = 7403;
  for (auto* host : {&a1, &a2, &b1}) host->sync();
  const auto desired = a1.sync();
  ASSERT_EQ(siblings_of(desired), (std::vector<std::string>{"a2.cloud-a.godwit"}));
  EXPECT_EQ(desired.siblings[0].ip, "192.0.2.10");
  EXPECT_EQ(desired.siblings[0].port, 7403);
  EXPECT_EQ(desired.siblings[0].key_sha256, CloudBench::key_of("a2"));
  EXPECT_TRUE(b1.sync().siblings.empty()) << "b2 does not listen";
}

TEST_F(CloudContent, AHostThatComesIsToldToThoseThatWait) {
  a1.report.directory_port = 7403;
  a1.sync();
  auto waiting = a1.report;
  waiting.wait_ms = 10'000;
  const auto answer = a.begin(CloudBench::as_host("a1", "cloud-a", "/v1/agent/sync", wire::encode(waiting)));
  EXPECT_FALSE(*answer);
  a2.report.directory_port = 7403;
  a2.sync();
  sphere.settle();
  ASSERT_TRUE(*answer);
  EXPECT_EQ(wire::decode<wire::DesiredState>((*answer)->body)->siblings.size(), 1U);
}

TEST_F(CloudContent, AHostThatIsSilentForLongIsNoSibling) {
  for (auto* host : {&a1, &a2}) host->report.directory_port = 7403;
  for (auto* host : {&a1, &a2}) host->sync();
  sphere.advance(cloud::kSiblingSilence - Seconds{1});
  EXPECT_EQ(a1.sync().siblings.size(), 1U);
  sphere.advance(Seconds{2});
  EXPECT_TRUE(a1.sync().siblings.empty());
  a2.sync();
  EXPECT_EQ(a1.sync().siblings.size(), 1U);
}

TEST_F(CloudContent, ACloudThatWasAwayTakesNobodyForGone) {
  for (auto* host : {&a1, &a2}) host->report.directory_port = 7403;
  for (auto* host : {&a1, &a2}) host->sync();
  sphere.advance(Seconds{3600});
  a.restart();
  EXPECT_EQ(a1.sync().siblings.size(), 1U) << "it has heard from nobody, and says nothing of it";
  sphere.advance(cloud::kSiblingSilence + Seconds{1});
  EXPECT_TRUE(a1.sync().siblings.empty());
}

TEST_F(CloudContent, ATenantsKeyGoesToTheHostsOfItsInstancesOnly) {
  EXPECT_TRUE(a1.desired.content_keys.empty());
  (void)running(1);
  const auto* key = key_of(a1.desired, "alice");
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->secret.size(), 64U);
  EXPECT_FALSE(key->held);
  const auto before = key->secret;
  a2.report.content_of = {"alice"};
  EXPECT_TRUE(a2.sync().content_keys.empty()) << "it may say so, but was never given any";
  EXPECT_FALSE(key_of(a1.sync(), "alice")->held) << "nor is it believed";
  a.restart();
  EXPECT_EQ(key_of(a1.sync(), "alice")->secret, before);
}

TEST_F(CloudContent, AHostThatExpectsAnInstanceHasTheKeyOfItsOwnCloud) {
  const auto instance = running(1);
  ASSERT_TRUE(ticket(ticket_request(instance, 1)));
  const auto desired = b1.sync();
  ASSERT_NE(key_of(desired, "alice"), nullptr);
  EXPECT_NE(key_of(desired, "alice")->secret, key_of(a1.desired, "alice")->secret);
  EXPECT_TRUE(b2.sync().content_keys.empty());
  sphere.advance(cloud::kTicketLife + Seconds{1});
  EXPECT_TRUE(b1.sync().content_keys.empty()) << "it never came";
}

TEST_F(CloudContent, WhoHoldsContentKeepsTheKeyUntilItHasNoneLeft) {
  (void)running(1);
  a1.report.content_of = {"alice"};
  a1.sync();
  EXPECT_TRUE(key_of(a1.sync(), "alice")->held);
  end(1);
  ASSERT_NE(key_of(a1.sync(), "alice"), nullptr);
  const auto secret = key_of(a1.desired, "alice")->secret;
  ASSERT_TRUE(run(a, run_request(2, "a2")));
  ASSERT_NE(key_of(a2.sync(), "alice"), nullptr);
  EXPECT_TRUE(key_of(a2.desired, "alice")->held) << "another host has said so";
  EXPECT_EQ(key_of(a2.desired, "alice")->secret, secret);
  a1.report.content_of.clear();
  EXPECT_TRUE(a1.sync().content_keys.empty());
  EXPECT_FALSE(key_of(a2.sync(), "alice")->held);
}

}  // namespace
}  // namespace godwit::api
