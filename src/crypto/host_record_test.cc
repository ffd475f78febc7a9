#include "crypto/host_record.h"

#include "support/counting_random.h"

#include <gtest/gtest.h>

namespace godwit::crypto {
namespace {

constexpr WallTime kNow{Millis(1'800'000'000'000)};
constexpr Validity kYear{kNow, kNow + std::chrono::hours(24 * 365)};

HostRecord sample() {
  HostRecord record;
  record.cloud = "cloud-a";
  record.host = "a1";
  for (std::size_t i = 0; i < record.key.size(); ++i) record.key[i] = static_cast<std::byte>(i + 1);
  record.validity = {kNow - kStatementSkew, kNow + kHostRecordLife};
  return record;
}

class HostRecords : public ::testing::Test {
 protected:
  [[nodiscard]] Authority authority_of(const std::string& cloud, const Key& key, Validity validity = kYear) {
    return Authority::from_pem(cloud, make_authority(key, cloud, validity, random_).value()).value();
  }
  [[nodiscard]] Errc refusal(ByteView record, WallTime now = kNow) const {
    const auto opened = open_host_record(record, authority_, now);
    return opened ? Errc::internal : opened.error().code;
  }

  testing::CountingRandom random_;
  Key key_{Key::generate().value()};
  Authority authority_{authority_of("cloud-a", key_)};
  ByteVector record_{sign_host_record(sample(), key_).value()};
};

TEST_F(HostRecords, TellsWhoseAKeyIs) {
  const auto opened = open_host_record(record_, authority_, kNow);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->cloud, "cloud-a");
  EXPECT_EQ(opened->host, "a1");
  EXPECT_EQ(opened->key, sample().key);
  EXPECT_EQ(opened->profile, SessionProfile::native);
  EXPECT_EQ(opened->validity.until, kNow + kHostRecordLife);
}

TEST_F(HostRecords, TheLongestNamesFit) {
  auto record = sample();
  record.cloud = std::string(57, 'c');  // with ".godwit" a common name's 64
  record.host = std::string(63, 'h');
  const auto made = sign_host_record(record, key_);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->size(), 237U);
  EXPECT_TRUE(open_host_record(*made, authority_of(record.cloud, key_), kNow));
}

TEST_F(HostRecords, IsValidForAWhile) {
  EXPECT_EQ(refusal(record_, kNow - kStatementSkew - Seconds{1}), Errc::timed_out);
  EXPECT_EQ(refusal(record_, kNow + kHostRecordLife - Seconds{1}), Errc::internal);
  EXPECT_EQ(refusal(record_, kNow + kHostRecordLife), Errc::timed_out);
}

TEST_F(HostRecords, IsNoBetterThanTheCaThatSignedIt) {
  const auto ended = authority_of("cloud-a", key_, {kNow - Seconds{10}, kNow - Seconds{1}});
  EXPECT_EQ(open_host_record(record_, ended, kNow).error().code, Errc::timed_out);
}

TEST_F(HostRecords, EveryByteIsSigned) {
  for (std::size_t i = 0; i < record_.size(); ++i) {
    auto altered = record_;
    altered[i] ^= std::byte{1};
    EXPECT_NE(refusal(altered), Errc::internal) << "byte " << i;
  }
  for (std::size_t size = 0; size < record_.size(); ++size) {
    EXPECT_NE(refusal(ByteView(record_).first(size)), Errc::internal) << size << " bytes";
  }
  auto longer = record_;
  longer.push_back(std::byte{0});
  EXPECT_NE(refusal(longer), Errc::internal);
}

TEST_F(HostRecords, ACaIsBelievedForHostsOfItsOwnCloudAlone) {
  const auto foreign = Key::generate().value();
  EXPECT_EQ(refusal(*sign_host_record(sample(), foreign)), Errc::not_authentic);
  auto ours = sample();
  ours.cloud = "cloud-b";
  EXPECT_EQ(refusal(*sign_host_record(ours, key_)), Errc::not_authentic) << "our CA, another cloud's name";
}

TEST_F(HostRecords, ACaMustBeOneAndOfItsCloud) {
  const auto pem = make_authority(key_, "cloud-a", kYear, random_).value();
  EXPECT_EQ(Authority::from_pem("cloud-b", pem).error().code, Errc::invalid_argument);
  EXPECT_EQ(Authority::from_pem("cloud-a", "no PEM").error().code, Errc::invalid_argument);
  const auto request = make_request(key_, "cloud-a.godwit").value();
  const auto host = sign_request(key_, pem, request, "cloud-a.godwit", kYear, random_).value();
  EXPECT_EQ(Authority::from_pem("cloud-a", host).error().code, Errc::invalid_argument);
}

TEST_F(HostRecords, ARecordHasOneSpelling) {
  EXPECT_EQ(statement_from_text(to_base64url(record_)).value(), record_);
  auto text = to_base64url(record_);
  text.back() = text.back() == 'B' ? 'C' : 'B';
  const auto other = statement_from_text(text);
  EXPECT_TRUE(!other || *other != record_);
  // (r, n - s) fits wherever (r, s) does: of the two only the lower one is taken.
  const auto order = from_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").value();
  auto twin = record_;
  int borrow = 0;
  for (std::size_t i = 32; i-- > 0;) {
    const auto at = twin.size() - 32 + i;
    const int digit = std::to_integer<int>(order[i]) - std::to_integer<int>(twin[at]) - borrow;
    borrow = digit < 0 ? 1 : 0;
    twin[at] = static_cast<std::byte>(digit + borrow * 256);
  }
  EXPECT_EQ(refusal(twin), Errc::not_authentic);
}

TEST_F(HostRecords, WhatMakesNoSenseIsNotSigned) {
  const auto refused = [&](auto change) {
    auto record = sample();
    change(record);
    const auto made = sign_host_record(record, key_);
    return made ? Errc::internal : made.error().code;
  };
  EXPECT_EQ(refused([](HostRecord& r) { r.cloud = "Not a label"; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](HostRecord& r) { r.host = ""; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](HostRecord& r) { r.key = {}; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](HostRecord& r) { r.profile = SessionProfile{3}; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](HostRecord& r) { r.validity.until = r.validity.from; }), Errc::invalid_argument);
  EXPECT_EQ(host_key_from_hex(std::string(64, '0')).error().code, Errc::invalid_argument);
  EXPECT_EQ(host_key_from_hex("12").error().code, Errc::invalid_argument);
}

// ---- docs/formats/host-record.md

constexpr std::string_view kGoldenFields =
    "01"                // version
    "01"                // a host record
    "000000006b49cfa8"  // valid from
    "000000006b4b2380"  // until
    "01"                // native
    "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
    "07636c6f75642d61"  // cloud-a
    "026131";           // a1

constexpr std::string_view kGoldenSignature =
    "31f7219a3fd1f55dda7e29f3132060b35236456216680ab5383e5bf7435fd864"
    "0f76af9f7960cc286de9a3ac5d1d68eb76d552c735fa32f9e28417e30033ba46";
constexpr std::string_view kGoldenCa =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBjDCCATKgAwIBAgIUf6XkS977XTSLkhyP6tQiPpCnacswCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwOY2xvdWQtYS5nb2R3aXQwIBcNMjYxMTI4MTgxNDQ3WhgPMjEy\n"
    "NjExMDQxODE0NDdaMBkxFzAVBgNVBAMMDmNsb3VkLWEuZ29kd2l0MFkwEwYHKoZI\n"
    "zj0CAQYIKoZIzj0DAQcDQgAEtuQu7HsmMzWlmaUUSSoubd/i3n3dF3Rjb/yiIxV1\n"
    "Iasskik/gEYI2kb+Sqj5oMcL8PCb1S0oEjcQSYc3NpyXtaNWMFQwHQYDVR0OBBYE\n"
    "FKLcLMYrjbNlFkAWNl/Za20zTr4YMB8GA1UdIwQYMBaAFKLcLMYrjbNlFkAWNl/Z\n"
    "a20zTr4YMBIGA1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIhALZ9\n"
    "RtAn/uWCGdJxdShf2EFFAt6xAvRMeffNgt5mppk3AiAmx3eNnRk9/zmotogBVDT3\n"
    "x4pzBBKcf0G51p9YloQvpA==\n"
    "-----END CERTIFICATE-----\n";

TEST_F(HostRecords, StandsAsTheFormatSays) {
  EXPECT_EQ(to_hex(*encode_host_record(sample())), kGoldenFields);
  // Signed by the openssl command, with a key that nobody has.
  const auto golden = from_hex(std::string(kGoldenFields) + std::string(kGoldenSignature)).value();
  const auto opened = open_host_record(golden, Authority::from_pem("cloud-a", kGoldenCa).value(), kNow);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->key, sample().key);
}

}  // namespace
}  // namespace godwit::crypto
