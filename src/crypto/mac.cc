#include "crypto/mac.h"

#include "base/assert.h"
#include "crypto/digest.h"
#include "crypto/openssl.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <algorithm>

namespace godwit::crypto {

struct MacKey::Impl {
  std::unique_ptr<EVP_MAC, Free<EVP_MAC_free>> algorithm{EVP_MAC_fetch(nullptr, "HMAC", nullptr)};
  std::unique_ptr<EVP_MAC_CTX, Free<EVP_MAC_CTX_free>> context{EVP_MAC_CTX_new(algorithm.get())};
};

MacKey::MacKey(ByteView key) : impl_(std::make_unique<Impl>()) {
  GODWIT_ASSERT(!key.empty());
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  const auto* bytes = reinterpret_cast<const unsigned char*>(key.data());
  GODWIT_ASSERT(EVP_MAC_init(impl_->context.get(), bytes, key.size(), parameters) == 1);
}
MacKey::~MacKey() = default;
MacKey::MacKey(MacKey&&) noexcept = default;
MacKey& MacKey::operator=(MacKey&&) noexcept = default;

Mac MacKey::compute(ByteView first, ByteView second) const {
  auto* context = impl_->context.get();
  GODWIT_ASSERT(EVP_MAC_init(context, nullptr, 0, nullptr) == 1);  // the same key, a new message
  for (const ByteView part : {first, second}) {
    GODWIT_ASSERT(EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(part.data()), part.size()) == 1);
  }
  Sha256Digest whole;
  std::size_t size = 0;
  GODWIT_ASSERT(EVP_MAC_final(context, reinterpret_cast<unsigned char*>(whole.data()), &size, whole.size()) == 1);
  Mac mac;
  std::copy_n(whole.begin(), mac.size(), mac.begin());
  return mac;
}

bool MacKey::verify(ByteView message, ByteView mac) const { return equal_secrets(compute(message), mac); }

}  // namespace godwit::crypto
