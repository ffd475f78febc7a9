#include "tunnel/keys.h"

#include "support/counting_random.h"

#include <gtest/gtest.h>

namespace godwit::tunnel {
namespace {

constexpr WallTime kNow{Millis(1'800'000'000'000)};
constexpr crypto::Validity kYear{kNow, kNow + std::chrono::hours(24 * 365)};

TEST(TunnelKeys, MakeHostsThatOneAuthoritySigned) {
  testing::CountingRandom random;
  const auto all = make_keys({"left", "right"}, kYear, random);
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 2U);
  std::string ca;
  for (const auto& each : *all) {
    ASSERT_LE(each.text.size(), kKeysLimit_bytes);
    const auto keys = parse_keys(each.text);
    ASSERT_TRUE(keys) << keys.error().message;
    const auto certificate = crypto::inspect_certificate(keys->certificate_pem);
    ASSERT_TRUE(certificate);
    EXPECT_EQ(certificate->name, peer_name(each.host));
    EXPECT_FALSE(certificate->authority);
    EXPECT_EQ(certificate->key_sha256, crypto::Key::from_pem(keys->key_pem).value().sha256());
    EXPECT_TRUE(crypto::inspect_certificate(keys->ca_pem).value().authority);
    if (ca.empty()) ca = keys->ca_pem;
    EXPECT_EQ(keys->ca_pem, ca);
  }
}

TEST(TunnelKeys, RefuseNamesThatNoCertificateCanHave) {
  testing::CountingRandom random;
  for (const auto& hosts : std::vector<std::vector<std::string>>{
           {}, {"left"}, {"left", "left"}, {"left", "Right"}, {"left", "../x"}, {"left", ""}}) {
    const auto made = make_keys(hosts, kYear, random);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::invalid_argument);
  }
}

TEST(TunnelKeys, RefuseAFileThatIsCutOff) {
  testing::CountingRandom random;
  const auto text = make_keys({"left", "right"}, kYear, random).value().front().text;
  for (std::size_t size = 0; size + 2 < text.size(); size += 7) {
    EXPECT_FALSE(parse_keys(std::string_view(text).substr(0, size))) << size;
  }
  EXPECT_TRUE(parse_keys(text));
}

}  // namespace
}  // namespace godwit::tunnel
