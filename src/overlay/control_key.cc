#include "overlay/control_key.h"

#include "base/assert.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>

namespace godwit::overlay {

// One context, initialised with the key once and started anew for each message.
struct ControlKey::Impl {
  struct Free {
    void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };
  std::unique_ptr<EVP_MAC, Free> algorithm;
  std::unique_ptr<EVP_MAC_CTX, Free> context;
};

ControlKey::ControlKey(ByteView key) : impl_(std::make_unique<Impl>()) {
  impl_->algorithm.reset(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  GODWIT_ASSERT(impl_->algorithm);
  impl_->context.reset(EVP_MAC_CTX_new(impl_->algorithm.get()));
  GODWIT_ASSERT(impl_->context);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  const auto* bytes = reinterpret_cast<const unsigned char*>(key.data());
  GODWIT_ASSERT(EVP_MAC_init(impl_->context.get(), bytes, key.size(), parameters) == 1);
}

ControlKey::~ControlKey() = default;
ControlKey::ControlKey(ControlKey&&) noexcept = default;
ControlKey& ControlKey::operator=(ControlKey&&) noexcept = default;

ControlMac ControlKey::mac(ByteView message) {
  auto* context = impl_->context.get();
  std::array<unsigned char, 32> whole{};
  std::size_t size = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  const bool done = EVP_MAC_init(context, nullptr, 0, nullptr) == 1 &&
                    EVP_MAC_update(context, bytes, message.size()) == 1 &&
                    EVP_MAC_final(context, whole.data(), &size, whole.size()) == 1;
  GODWIT_ASSERT(done && size == whole.size());
  ControlMac out;
  std::transform(whole.begin(), whole.begin() + kControlMacBytes, out.begin(),
                 [](unsigned char each) { return std::byte{each}; });
  return out;
}

bool ControlKey::holds(ByteView message, ByteView mac_bytes) {
  const auto expected = mac(message);
  return mac_bytes.size() == expected.size() && CRYPTO_memcmp(mac_bytes.data(), expected.data(), expected.size()) == 0;
}

}  // namespace godwit::overlay
