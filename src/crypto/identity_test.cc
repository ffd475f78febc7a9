#include "crypto/identity.h"

#include "support/counting_random.h"

#include <gtest/gtest.h>

namespace godwit::crypto {
namespace {

constexpr WallTime kNow{Millis(1'800'000'000'000)};
constexpr Validity kYear{kNow, kNow + std::chrono::hours(24 * 365)};

class Identity : public ::testing::Test {
 protected:
  testing::CountingRandom random_;
  Key authority_key_{Key::generate().value()};
  std::string authority_{make_authority(authority_key_, "cloud-a", kYear, random_).value()};
  Key key_{Key::generate().value()};
};

TEST_F(Identity, KeyIsReadBack) {
  const auto again = Key::from_pem(key_.to_pem());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->sha256(), key_.sha256());
  EXPECT_EQ(again->sha256().size(), 64U);
}

TEST_F(Identity, AuthoritySignsWhatTheCallerNames) {
  const auto request = make_request(key_, "root.cloud-a.godwit");
  ASSERT_TRUE(request) << request.error().message;
  const auto asked = inspect_request(*request);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->name, "root.cloud-a.godwit");
  EXPECT_EQ(asked->key_sha256, key_.sha256());

  const auto certificate = sign_request(authority_key_, authority_, *request, "a1.cloud-a.godwit", kYear, random_);
  ASSERT_TRUE(certificate) << certificate.error().message;
  const auto info = inspect_certificate(*certificate);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->name, "a1.cloud-a.godwit");
  EXPECT_EQ(info->key_sha256, key_.sha256());
  EXPECT_EQ(info->validity.from, kYear.from);
  EXPECT_EQ(info->validity.until, kYear.until);
  EXPECT_FALSE(info->authority);
}

TEST_F(Identity, AuthorityKnowsItself) {
  const auto info = inspect_certificate(authority_);
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->authority);
  EXPECT_EQ(info->name, "cloud-a.godwit");
  EXPECT_EQ(info->key_sha256, authority_key_.sha256());
}

TEST_F(Identity, ARequestThatItsKeyDidNotSignIsRefused) {
  auto request = make_request(key_, "a1.cloud-a.godwit").value();
  // The last base64 line holds the end of the signature.
  const auto at = request.rfind("\n-----END") - 6;
  request[at] = request[at] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(inspect_request(request));
  EXPECT_FALSE(sign_request(authority_key_, authority_, request, "a1.cloud-a.godwit", kYear, random_));
}

TEST_F(Identity, WhatIsNoNameIsRefused) {
  const auto request = make_request(key_, "a1.cloud-a.godwit").value();
  for (const char* name : {"", "a1", "a1..godwit", "A1.cloud-a.godwit", "*.godwit", "a1.godwit,DNS:b.godwit", "-a.b",
                           ".a.b", "a.b.", "a b.c"}) {
    EXPECT_FALSE(is_host_name(name)) << name;
    EXPECT_FALSE(sign_request(authority_key_, authority_, request, name, kYear, random_)) << name;
  }
  EXPECT_FALSE(make_authority(authority_key_, "not.a.label", kYear, random_));
}

TEST_F(Identity, AnotherKeyThanTheAuthoritysIsRefused) {
  const auto request = make_request(key_, "a1.cloud-a.godwit").value();
  const auto certificate = sign_request(key_, authority_, request, "a1.cloud-a.godwit", kYear, random_);
  ASSERT_FALSE(certificate);
  EXPECT_EQ(certificate.error().code, Errc::invalid_argument);
}

TEST_F(Identity, GarbageIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        std::string(kPemBytes + 1, 'A'), authority_.substr(0, authority_.size() / 2)}) {
    EXPECT_FALSE(Key::from_pem(text));
    EXPECT_FALSE(inspect_certificate(text));
    EXPECT_FALSE(inspect_request(text));
  }
}

TEST_F(Identity, ACertificateThatEndsBeforeItStartsIsRefused) {
  const auto request = make_request(key_, "a1.cloud-a.godwit").value();
  EXPECT_FALSE(sign_request(authority_key_, authority_, request, "a1.cloud-a.godwit", {kNow, kNow}, random_));
}

}  // namespace
}  // namespace godwit::crypto
