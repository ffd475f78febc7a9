#include "crypto/image_record.h"

#include "crypto/host_record.h"
#include "support/counting_random.h"

#include <gtest/gtest.h>

namespace godwit::crypto {
namespace {

constexpr WallTime kNow{Millis(1'800'000'000'000)};
constexpr Validity kYear{kNow, kNow + std::chrono::hours(24 * 365)};

ImageRecord sample() {
  ImageRecord record;
  record.cloud = "cloud-a";
  for (std::size_t i = 0; i < record.manifest.size(); ++i) record.manifest[i] = static_cast<std::byte>(i + 1);
  record.validity = kYear;
  return record;
}

class ImageRecords : public ::testing::Test {
 protected:
  [[nodiscard]] Authority authority_of(const std::string& cloud, const Key& key) {
    return Authority::from_pem(cloud, make_authority(key, cloud, kYear, random_).value()).value();
  }
  testing::CountingRandom random_;
  Key key_{Key::generate().value()};
  Authority authority_{authority_of("cloud-a", key_)};
  ByteVector record_{sign_image_record(sample(), key_).value()};
};

TEST_F(ImageRecords, SayWhichImageIsACloudsOwn) {
  const auto opened = open_image_record(record_, authority_, kNow);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->manifest, sample().manifest);
  EXPECT_EQ(opened->cloud, "cloud-a");
}

TEST_F(ImageRecords, EveryByteIsSigned) {
  for (std::size_t i = 0; i < record_.size(); ++i) {
    auto altered = record_;
    altered[i] ^= std::byte{1};
    EXPECT_FALSE(open_image_record(altered, authority_, kNow)) << "byte " << i;
  }
  for (std::size_t size = 0; size < record_.size(); ++size) {
    EXPECT_FALSE(open_image_record(ByteView(record_).first(size), authority_, kNow)) << size;
  }
}

TEST_F(ImageRecords, NobodyElseSaysIt) {
  const auto other = Key::generate().value();
  EXPECT_EQ(open_image_record(record_, authority_of("cloud-a", other), kNow).error().code, Errc::not_authentic);
  EXPECT_EQ(open_image_record(record_, authority_of("cloud-b", key_), kNow).error().code, Errc::not_authentic);
  EXPECT_EQ(open_image_record(record_, authority_, kYear.until).error().code, Errc::timed_out);
  EXPECT_EQ(read_host_record(record_).error().code, Errc::invalid_argument) << "nothing of one kind is another's";
}

TEST_F(ImageRecords, StandAsTheFormatSays) {
  EXPECT_EQ(to_hex(*encode_image_record(sample())),
            "01"                // version
            "04"                // an image record
            "000000006b49d200"  // valid from
            "000000006d2b0580"  // until
            "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
            "07636c6f75642d61");  // cloud-a
}

}  // namespace
}  // namespace godwit::crypto
