#include "crypto/digest.h"

#include "base/assert.h"
#include "crypto/openssl.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace godwit::crypto {

Sha256Digest sha256(ByteView bytes) {
  Sha256Digest digest;
  ::SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
           reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::string sha256_hex(ByteView bytes) { return to_hex(sha256(bytes)); }

struct Sha256::Impl {
  DigestPtr context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  GODWIT_ASSERT(EVP_DigestInit_ex(impl_->context.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteView bytes) {
  GODWIT_ASSERT(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1);
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest;
  auto* out = reinterpret_cast<unsigned char*>(digest.data());
  GODWIT_ASSERT(EVP_DigestFinal_ex(impl_->context.get(), out, nullptr) == 1);
  GODWIT_ASSERT(EVP_DigestInit_ex(impl_->context.get(), nullptr, nullptr) == 1);
  return digest;
}

bool equal_secrets(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace godwit::crypto
