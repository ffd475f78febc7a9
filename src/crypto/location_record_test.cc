#include "crypto/location_record.h"

#include "support/counting_random.h"

#include <gtest/gtest.h>

namespace godwit::crypto {
namespace {

constexpr WallTime kNow{Millis(1'800'000'000'000)};
constexpr Validity kDay{kNow, kNow + kLocationRecordLife};

LocationRecord sample() {
  return {"cloud-b", "b1", "net-00000000000000001", 77, "i-0123456789abcdef0", 2, LocationGrant::if_handed_off, kDay};
}
HandOff given() { return {"cloud-a", "cloud-b", "b1", "net-00000000000000001", "i-0123456789abcdef0", 2, kDay}; }

class LocationRecords : public ::testing::Test {
 protected:
  [[nodiscard]] Authority authority_of(const std::string& cloud, const Key& key) {
    return Authority::from_pem(cloud,
                               make_authority(key, cloud, {kNow, kNow + std::chrono::hours(100)}, random_).value())
        .value();
  }
  testing::CountingRandom random_;
  Key key_{Key::generate().value()};
  Authority a_{authority_of("cloud-a", key_)};
  Authority b_{authority_of("cloud-b", key_)};
};

TEST_F(LocationRecords, SayWhereAnInstanceIs) {
  const auto made = sign_location_record(sample(), key_).value();
  const auto record = open_location_record(made, b_, kNow);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->instance, sample().instance);
  EXPECT_EQ(record->network, sample().network);
  EXPECT_EQ(record->vni, 77U);
  EXPECT_EQ(record->epoch, 2U);
  EXPECT_EQ(record->host, "b1");
  EXPECT_EQ(record->grant, LocationGrant::if_handed_off);
  EXPECT_EQ(open_location_record(made, a_, kNow).error().code, Errc::not_authentic) << "of another cloud";
  EXPECT_EQ(open_location_record(made, b_, kDay.until).error().code, Errc::timed_out);
}

TEST_F(LocationRecords, HandOffsAreOfTheCloudThatGives) {
  const auto made = sign_hand_off(given(), key_).value();
  const auto hand_off = open_hand_off(made, a_, kNow);
  ASSERT_TRUE(hand_off) << hand_off.error().message;
  EXPECT_EQ(hand_off->to_cloud, "cloud-b");
  EXPECT_EQ(hand_off->to_host, "b1");
  EXPECT_EQ(hand_off->epoch, 2U);
  EXPECT_EQ(open_hand_off(made, b_, kNow).error().code, Errc::not_authentic) << "nobody gives to himself";
  EXPECT_EQ(open_hand_off(made, a_, kDay.until).error().code, Errc::timed_out);
}

TEST_F(LocationRecords, EveryByteIsSigned) {
  const auto record = sign_location_record(sample(), key_).value();
  const auto hand_off = sign_hand_off(given(), key_).value();
  for (std::size_t i = 0; i < record.size(); ++i) {
    auto altered = record;
    altered[i] ^= std::byte{1};
    EXPECT_FALSE(open_location_record(altered, b_, kNow)) << "byte " << i;
    EXPECT_FALSE(open_location_record(ByteView(record).first(i), b_, kNow));
  }
  for (std::size_t i = 0; i < hand_off.size(); ++i) {
    auto altered = hand_off;
    altered[i] ^= std::byte{1};
    EXPECT_FALSE(open_hand_off(altered, a_, kNow)) << "byte " << i;
    EXPECT_FALSE(open_hand_off(ByteView(hand_off).first(i), a_, kNow));
  }
}

TEST_F(LocationRecords, NoKindIsReadAsAnother) {
  const auto record = sign_location_record(sample(), key_).value();
  const auto hand_off = sign_hand_off(given(), key_).value();
  EXPECT_FALSE(open_hand_off(record, b_, kNow));
  EXPECT_FALSE(open_location_record(hand_off, a_, kNow));
}

TEST_F(LocationRecords, WhatMakesNoSenseIsNotSigned) {
  const auto refused = [&](auto change) {
    auto record = sample();
    change(record);
    return !sign_location_record(record, key_);
  };
  EXPECT_TRUE(refused([](LocationRecord& r) { r.cloud = "Not a label"; }));
  EXPECT_TRUE(refused([](LocationRecord& r) { r.host = ""; }));
  EXPECT_TRUE(refused([](LocationRecord& r) { r.network = "net-1"; }));
  EXPECT_TRUE(refused([](LocationRecord& r) { r.instance = "i-1"; }));
  EXPECT_TRUE(refused([](LocationRecord& r) { r.vni = 0; }));
  EXPECT_TRUE(refused([](LocationRecord& r) { r.vni = 1U << 24U; }));
  EXPECT_TRUE(refused([](LocationRecord& r) { r.epoch = 0; }));
  EXPECT_TRUE(refused([](LocationRecord& r) { r.grant = LocationGrant{3}; }));
  EXPECT_TRUE(refused([](LocationRecord& r) { r.validity.until = r.validity.from; }));
  auto hand_off = given();
  hand_off.to_host = "b1.cloud-b";
  EXPECT_FALSE(sign_hand_off(hand_off, key_));
}

// ---- docs/formats/host-record.md

TEST_F(LocationRecords, StandAsTheFormatSays) {
  EXPECT_EQ(to_hex(*encode_location_record(sample())),
            "0102"              // version, a location record
            "000000006b49d200"  // valid from
            "000000006b4b2380"  // until
            "02"                // if handed off
            "00004d"            // VNI 77
            "0000000000000002"  // epoch
            "6e65742d3030303030303030303030303030303031"
            "692d3031323334353637383961626364656630"
            "07636c6f75642d62"  // cloud-b
            "026231");          // b1
  EXPECT_EQ(to_hex(*encode_hand_off(given())),
            "0103"
            "000000006b49d200"
            "000000006b4b2380"
            "0000000000000002"
            "6e65742d3030303030303030303030303030303031"
            "692d3031323334353637383961626364656630"
            "07636c6f75642d61"  // from cloud-a
            "07636c6f75642d62"  // to cloud-b
            "026231");          // b1
}

}  // namespace
}  // namespace godwit::crypto
