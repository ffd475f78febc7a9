#include "base/assert.h"
#include "crypto/aead_engines.h"
#include "crypto/openssl.h"

#include <algorithm>

namespace godwit::crypto {
namespace {

using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;

const unsigned char* raw(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* raw(ByteSpan bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

class OpensslKey final : public AeadKey {
 public:
  OpensslKey(const EVP_CIPHER* cipher, ByteView key) {
    GODWIT_ASSERT(key.size() == 32);
    GODWIT_ASSERT(EVP_EncryptInit_ex(sealing_.get(), cipher, nullptr, raw(key), nullptr) == 1);
    GODWIT_ASSERT(EVP_DecryptInit_ex(opening_.get(), cipher, nullptr, raw(key), nullptr) == 1);
  }

  void seal(const Nonce& nonce, ByteView associated, ByteSpan text, Tag tag) override {
    auto* context = sealing_.get();
    int size = 0;
    GODWIT_ASSERT(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, raw(ByteView(nonce))) == 1);
    GODWIT_ASSERT(associated.empty() ||
                  EVP_EncryptUpdate(context, nullptr, &size, raw(associated), length(associated)) == 1);
    GODWIT_ASSERT(text.empty() || EVP_EncryptUpdate(context, raw(text), &size, raw(ByteView(text)), length(text)) == 1);
    GODWIT_ASSERT(EVP_EncryptFinal_ex(context, raw(ByteSpan(tag)), &size) == 1);  // writes nothing
    GODWIT_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTag, tag.data()) == 1);
  }

  bool open(const Nonce& nonce, ByteView associated, ByteSpan text, TagView tag) override {
    auto* context = opening_.get();
    int size = 0;
    GODWIT_ASSERT(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, raw(ByteView(nonce))) == 1);
    GODWIT_ASSERT(associated.empty() ||
                  EVP_DecryptUpdate(context, nullptr, &size, raw(associated), length(associated)) == 1);
    GODWIT_ASSERT(text.empty() || EVP_DecryptUpdate(context, raw(text), &size, raw(ByteView(text)), length(text)) == 1);
    std::array<std::byte, kAeadTag> expected;
    std::ranges::copy(tag, expected.begin());
    GODWIT_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kAeadTag, expected.data()) == 1);
    return EVP_DecryptFinal_ex(context, raw(ByteSpan(expected)), &size) == 1;
  }

 private:
  static int length(ByteView bytes) { return static_cast<int>(bytes.size()); }

  ContextPtr sealing_{EVP_CIPHER_CTX_new()};
  ContextPtr opening_{EVP_CIPHER_CTX_new()};
};

}  // namespace

std::unique_ptr<AeadKey> openssl_key(Cipher cipher, ByteView key) {
  return std::make_unique<OpensslKey>(cipher == Cipher::aes256_gcm ? EVP_aes_256_gcm() : EVP_chacha20_poly1305(), key);
}

}  // namespace godwit::crypto
