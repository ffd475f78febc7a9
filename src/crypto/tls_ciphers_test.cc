#include "crypto/tls_ciphers.h"

#include "base/bytes.h"
#include "crypto/openssl.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

namespace godwit::crypto {
namespace {

using CipherPtr = std::unique_ptr<EVP_CIPHER, Free<EVP_CIPHER_free>>;
using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;

const unsigned char* raw(const ByteVector& bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* raw(ByteVector& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

class FastestTlsCiphers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { taken_ = use_fastest_tls_ciphers(); }

  static CipherPtr preferred() { return CipherPtr(EVP_CIPHER_fetch(nullptr, "id-aes128-GCM", nullptr)); }
  static std::string provider_of(const EVP_CIPHER* cipher) {
    return OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher));
  }

  static inline TlsCiphers taken_{TlsCiphers::openssl};
};

TEST_F(FastestTlsCiphers, AreWhatTlsFetchesAndAllElseStaysOpenssls) {
  EXPECT_EQ(provider_of(preferred().get()), taken_ == TlsCiphers::ipsec_mb ? "godwit-ipsec-mb" : "default");
  const CipherPtr other(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  EXPECT_EQ(provider_of(other.get()), "default");
}

// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 4: AES-128, 20 bytes of associated data.
TEST_F(FastestTlsCiphers, SealAsThePublishedVector) {
  const auto cipher = preferred();
  const auto key = from_hex("feffe9928665731c6d6a8f9467308308").value();
  const auto nonce = from_hex("cafebabefacedbaddecaf888").value();
  const auto associated = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2").value();
  auto text = from_hex(
                  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
                  "b16aedf5aa0de657ba637b39")
                  .value();
  const ContextPtr context(EVP_CIPHER_CTX_new());
  int size = 0;
  ASSERT_EQ(EVP_EncryptInit_ex(context.get(), cipher.get(), nullptr, raw(key), raw(nonce)), 1);
  ASSERT_EQ(EVP_EncryptUpdate(context.get(), nullptr, &size, raw(associated), 20), 1);
  ASSERT_EQ(EVP_EncryptUpdate(context.get(), raw(text), &size, raw(std::as_const(text)), 60), 1);
  ASSERT_EQ(EVP_EncryptFinal_ex(context.get(), raw(text), &size), 1);
  EXPECT_EQ(to_hex(text),
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa05"
            "1ba30b396a0aac973d58e091");
  ByteVector tag(16);
  ASSERT_EQ(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, 16, tag.data()), 1);
  EXPECT_EQ(to_hex(tag), "5bc94fbc3221a5db94fae95ae7121a47");
}

TEST_F(FastestTlsCiphers, RefuseASecondMessageUnderOneNonce) {
  if (taken_ != TlsCiphers::ipsec_mb) GTEST_SKIP() << "no libipsec-mb here";
  const auto cipher = preferred();
  const ByteVector key(16);
  const ByteVector nonce(12);
  ByteVector text(100);
  const ContextPtr context(EVP_CIPHER_CTX_new());
  int size = 0;
  ASSERT_EQ(EVP_EncryptInit_ex(context.get(), cipher.get(), nullptr, raw(key), raw(nonce)), 1);
  ASSERT_EQ(EVP_EncryptUpdate(context.get(), raw(text), &size, raw(std::as_const(text)), 100), 1);
  ASSERT_EQ(EVP_EncryptFinal_ex(context.get(), raw(text), &size), 1);
  EXPECT_NE(EVP_EncryptUpdate(context.get(), raw(text), &size, raw(std::as_const(text)), 100), 1);
}

TEST_F(FastestTlsCiphers, RefuseLengthsThatTlsHasNot) {
  if (taken_ != TlsCiphers::ipsec_mb) GTEST_SKIP() << "no libipsec-mb here";
  const auto cipher = preferred();
  const ContextPtr context(EVP_CIPHER_CTX_new());
  ASSERT_EQ(EVP_EncryptInit_ex(context.get(), cipher.get(), nullptr, nullptr, nullptr), 1);
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN, 16, nullptr), 1);
  ByteVector tag(12);
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, 12, tag.data()), 1);
}

}  // namespace
}  // namespace godwit::crypto
