#include "crypto/aead.h"

#include "crypto/aead_engines.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::crypto {
namespace {

constexpr std::string_view kSunscreen =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be "
    "it.";
constexpr std::string_view kSunscreenKey = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f";
constexpr std::string_view kSunscreenData = "50515253c0c1c2c3c4c5c6c7";

struct Vector {
  const char* what;
  Cipher cipher;
  std::string key, nonce, associated, plain, sealed, tag;
};

const Vector kVectors[] = {
    {"McGrew and Viega, test case 13", Cipher::aes256_gcm, std::string(64, '0'), std::string(24, '0'), "", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"McGrew and Viega, test case 14", Cipher::aes256_gcm, std::string(64, '0'), std::string(24, '0'), "",
     std::string(32, '0'), "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {"McGrew and Viega, test case 16", Cipher::aes256_gcm,
     "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657b"
     "a637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0ab"
     "cc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"RFC 8439, section 2.8.2", Cipher::chacha20_poly1305, std::string(kSunscreenKey), "070000004041424344454647",
     std::string(kSunscreenData), to_hex(as_bytes(kSunscreen)),
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b290"
     "5d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61"
     "16",
     "1ae10b594f09e26a7e902ecbd0600691"},
};

ByteVector bytes_of(std::string_view hex) { return *from_hex(hex); }

template <class Array>
Array array_of(std::string_view hex) {
  Array out;
  std::ranges::copy(bytes_of(hex), out.begin());
  return out;
}

using TagBytes = std::array<std::byte, kAeadTag>;

// With libipsec-mb where there is one, and with OpenSSL.
class AeadTest : public ::testing::TestWithParam<bool> {
 protected:
  Ciphers ciphers_ = GetParam() ? Ciphers::fastest() : Ciphers::openssl();
};

TEST_P(AeadTest, SealsWhatIsPublished) {
  for (const auto& each : kVectors) {
    SCOPED_TRACE(each.what);
    const auto key = ciphers_.key(each.cipher, bytes_of(each.key));
    const auto nonce = array_of<Nonce>(each.nonce);
    auto text = bytes_of(each.plain);
    TagBytes tag;
    key->seal(nonce, bytes_of(each.associated), text, tag);
    EXPECT_EQ(to_hex(text), each.sealed);
    EXPECT_EQ(to_hex(tag), each.tag);
    EXPECT_TRUE(key->open(nonce, bytes_of(each.associated), text, tag));
    EXPECT_EQ(to_hex(text), each.plain);
  }
}

TEST_P(AeadTest, OpensNothingThatWasTouched) {
  for (const auto cipher : {Cipher::aes256_gcm, Cipher::chacha20_poly1305}) {
    const auto key = ciphers_.key(cipher, ByteVector(32, std::byte{7}));
    const ByteVector data(20, std::byte{1});
    ByteVector sealed(100, std::byte{2});
    TagBytes tag;
    key->seal({}, data, sealed, tag);
    for (std::size_t i = 0; i < sealed.size() + tag.size() + data.size() + sizeof(Nonce); ++i) {
      auto text = sealed;
      auto other_tag = tag;
      auto other_data = data;
      Nonce nonce{};
      auto at = i;
      const auto flip = [&at](ByteSpan bytes) {
        if (at < bytes.size()) bytes[at] ^= std::byte{0x40};
        at = at < bytes.size() ? ~std::size_t{0} / 2 : at - bytes.size();
      };
      flip(text);
      flip(other_tag);
      flip(other_data);
      flip(nonce);
      EXPECT_FALSE(key->open(nonce, other_data, text, other_tag)) << i;
    }
    EXPECT_TRUE(key->open({}, data, sealed, tag));
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, AeadTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "fastest" : "openssl"; });

// OpenSSL in libipsec-mb's place, with one flaw.
enum class Flaw : std::uint8_t { none, other_text, other_tag, opens_forgeries, opens_nothing };
constexpr std::size_t kFlawedSize = 1424;  // all other messages are as they should be

class FlawedKey final : public AeadKey {
 public:
  FlawedKey(Flaw flaw, std::unique_ptr<AeadKey> right) : flaw_(flaw), right_(std::move(right)) {}
  void seal(const Nonce& nonce, ByteView associated, ByteSpan text, Tag tag) override {
    right_->seal(nonce, associated, text, tag);
    if (text.size() == kFlawedSize && flaw_ == Flaw::other_text) text.back() ^= std::byte{1};
    if (text.size() == kFlawedSize && flaw_ == Flaw::other_tag) tag.back() ^= std::byte{1};
  }
  [[nodiscard]] bool open(const Nonce& nonce, ByteView associated, ByteSpan text, TagView tag) override {
    const bool authentic = right_->open(nonce, associated, text, tag);
    if (text.size() == kFlawedSize && flaw_ == Flaw::opens_forgeries) return true;
    if (text.size() == kFlawedSize && flaw_ == Flaw::opens_nothing) return false;
    return authentic;
  }

 private:
  Flaw flaw_;
  std::unique_ptr<AeadKey> right_;
};

class FlawedEngine final : public IpsecMb {
 public:
  explicit FlawedEngine(Flaw flaw) : flaw_(flaw) {}
  [[nodiscard]] std::unique_ptr<AeadKey> gcm_key(ByteView key) const override {
    return std::make_unique<FlawedKey>(flaw_, openssl_key(Cipher::aes256_gcm, key));
  }

 private:
  Flaw flaw_;
};

TEST(AeadEngines, OneThatDoesNotAsOpensslDoesIsRefused) {
  EXPECT_NE(if_same_as_openssl(std::make_unique<FlawedEngine>(Flaw::none)), nullptr);
  for (const auto flaw : {Flaw::other_text, Flaw::other_tag, Flaw::opens_forgeries, Flaw::opens_nothing}) {
    EXPECT_EQ(if_same_as_openssl(std::make_unique<FlawedEngine>(flaw)), nullptr) << static_cast<int>(flaw);
  }
  EXPECT_EQ(if_same_as_openssl(nullptr), nullptr);
  EXPECT_EQ(Ciphers::fastest().gcm_engine() == Ciphers::Engine::ipsec_mb,
            if_same_as_openssl(load_ipsec_mb()) != nullptr);
}

TEST(XchachaTest, DerivesAndSealsAsTheDraftShows) {  // draft-irtf-cfrg-xchacha-03, sections 2.2.1 and A.3.1
  EXPECT_EQ(to_hex(hchacha20(bytes_of("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
                             bytes_of("000000090000004a0000000031415927"))),
            "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc");
  const auto key = bytes_of(kSunscreenKey);
  const auto nonce = array_of<LongNonce>("404142434445464748494a4b4c4d4e4f5051525354555657");
  ByteVector text(as_bytes(kSunscreen).begin(), as_bytes(kSunscreen).end());
  TagBytes tag;
  seal_xchacha(key, nonce, bytes_of(kSunscreenData), text, tag);
  EXPECT_EQ(
      to_hex(text),
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c"
      "216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615"
      "c68b13b52e");
  EXPECT_EQ(to_hex(tag), "c0875924c1c7987947deafd8780acf49");
  EXPECT_TRUE(open_xchacha(key, nonce, bytes_of(kSunscreenData), text, tag));
  EXPECT_EQ(as_text(text), kSunscreen);
  tag[3] ^= std::byte{1};
  EXPECT_FALSE(open_xchacha(key, nonce, bytes_of(kSunscreenData), text, tag));
}

}  // namespace
}  // namespace godwit::crypto
