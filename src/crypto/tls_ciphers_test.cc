#include "crypto/tls_ciphers.h"

#include "base/bytes.h"
#include "crypto/openssl.h"
#include "crypto/tls_ciphers_ipsec_mb.h"

#include <gtest/gtest.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <vector>

namespace godwit::crypto {
namespace {

using CipherPtr = std::unique_ptr<EVP_CIPHER, Free<EVP_CIPHER_free>>;
using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;

const unsigned char* raw(const ByteVector& bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* raw(ByteVector& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

class FastestTlsCiphers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { properties_ = fastest_tls_properties(); }

  static CipherPtr preferred() { return CipherPtr(EVP_CIPHER_fetch(nullptr, "id-aes128-GCM", properties_)); }
  static std::string provider_of(const EVP_CIPHER* cipher) {
    return OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher));
  }

  static inline const char* properties_{nullptr};
};

TEST_F(FastestTlsCiphers, AreWhatTlsFetchesAndAllElseStaysOpenssls) {
  EXPECT_EQ(provider_of(preferred().get()), properties_ ? "godwit-ipsec-mb" : "default");
  const CipherPtr other(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", properties_));
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
  if (!properties_) GTEST_SKIP() << "no libipsec-mb here";
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
  if (!properties_) GTEST_SKIP() << "no libipsec-mb here";
  const auto cipher = preferred();
  const ContextPtr context(EVP_CIPHER_CTX_new());
  ASSERT_EQ(EVP_EncryptInit_ex(context.get(), cipher.get(), nullptr, nullptr, nullptr), 1);
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN, 16, nullptr), 1);
  ByteVector tag(12);
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, 12, tag.data()), 1);
}

// Our provider with one flaw, in texts of one length.
namespace flawed {

enum class Flaw : std::uint8_t { none, other_text, other_tag, opens_forgeries };
constexpr std::size_t kSize = 1408;

Flaw flaw;
std::size_t text_bytes;  // of the message at hand
std::vector<OSSL_DISPATCH> right_functions;
std::vector<OSSL_DISPATCH> functions;
std::array<OSSL_ALGORITHM, 2> algorithms;
std::vector<OSSL_DISPATCH> provider;

std::vector<OSSL_DISPATCH> copy(const OSSL_DISPATCH* from) {
  std::vector<OSSL_DISPATCH> out;
  for (; from->function_id != 0; ++from) out.push_back(*from);
  out.push_back({0, nullptr});
  return out;
}
OSSL_DISPATCH& entry(std::vector<OSSL_DISPATCH>& of, int id) {
  return *std::ranges::find(of, id, &OSSL_DISPATCH::function_id);
}
bool lies(Flaw how) { return flaw == how && text_bytes == kSize; }

int update(void* context, unsigned char* out, std::size_t* size, std::size_t room, const unsigned char* in,
           std::size_t in_bytes) {
  const auto right = OSSL_FUNC_cipher_update(&entry(right_functions, OSSL_FUNC_CIPHER_UPDATE));
  const int done = right(context, out, size, room, in, in_bytes);
  text_bytes = out ? text_bytes + in_bytes : 0;
  if (out && lies(Flaw::other_text)) out[in_bytes - 1] ^= 1U;
  return done;
}
int finish(void* context, unsigned char* out, std::size_t* size, std::size_t room) {
  const auto right = OSSL_FUNC_cipher_final(&entry(right_functions, OSSL_FUNC_CIPHER_FINAL));
  const int done = right(context, out, size, room);
  return lies(Flaw::opens_forgeries) ? 1 : done;
}
int get_context_params(void* context, OSSL_PARAM params[]) {
  const auto right = OSSL_FUNC_cipher_get_ctx_params(&entry(right_functions, OSSL_FUNC_CIPHER_GET_CTX_PARAMS));
  const int done = right(context, params);
  auto* tag = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAG);
  if (tag && lies(Flaw::other_tag)) static_cast<unsigned char*>(tag->data)[0] ^= 1U;
  return done;
}

template <class Function>
void replace(std::vector<OSSL_DISPATCH>& in, int id, Function function) {
  entry(in, id).function = reinterpret_cast<void (*)()>(function);
}

const OSSL_ALGORITHM* query(void*, int operation, int* no_cache) {
  *no_cache = 0;
  return operation == OSSL_OP_CIPHER ? algorithms.data() : nullptr;
}

int init(const OSSL_CORE_HANDLE* core, const OSSL_DISPATCH* offered, const OSSL_DISPATCH** provided, void** context) {
  if (godwit_ipsec_mb_provider(core, offered, provided, context) != 1) return 0;
  provider = copy(*provided);
  const auto right = OSSL_FUNC_provider_query_operation(&entry(provider, OSSL_FUNC_PROVIDER_QUERY_OPERATION));
  int no_cache = 0;
  algorithms = {*right(*context, OSSL_OP_CIPHER, &no_cache), {}};
  right_functions = functions = copy(algorithms[0].implementation);
  replace(functions, OSSL_FUNC_CIPHER_UPDATE, update);
  replace(functions, OSSL_FUNC_CIPHER_FINAL, finish);
  replace(functions, OSSL_FUNC_CIPHER_GET_CTX_PARAMS, get_context_params);
  algorithms[0].implementation = functions.data();
  replace(provider, OSSL_FUNC_PROVIDER_QUERY_OPERATION, query);
  *provided = provider.data();
  return 1;
}

}  // namespace flawed

TEST_F(FastestTlsCiphers, AreNotThoseOfAProviderThatDoesNotAsOpensslDoes) {
  if (!properties_) GTEST_SKIP() << "no libipsec-mb here";
  using flawed::Flaw;
  for (const auto flaw : {Flaw::none, Flaw::other_text, Flaw::other_tag, Flaw::opens_forgeries}) {
    SCOPED_TRACE(static_cast<int>(flaw));
    flawed::flaw = flaw;
    const std::unique_ptr<OSSL_LIB_CTX, Free<OSSL_LIB_CTX_free>> context(OSSL_LIB_CTX_new());
    const auto providers = load_if_same_as_openssl(context.get(), flawed::init);
    const bool right = flaw == Flaw::none;
    EXPECT_EQ(providers.properties() != nullptr, right);
    const CipherPtr cipher(EVP_CIPHER_fetch(context.get(), "id-aes128-GCM", providers.properties()));
    ASSERT_TRUE(cipher);
    EXPECT_EQ(provider_of(cipher.get()), right ? "godwit-ipsec-mb" : "default");
  }
}

}  // namespace
}  // namespace godwit::crypto
