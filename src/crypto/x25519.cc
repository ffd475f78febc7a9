#include "crypto/x25519.h"

#include "base/assert.h"
#include "crypto/openssl.h"

#include <openssl/err.h>

namespace godwit::crypto {
namespace {

using PkeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;

const unsigned char* raw(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* raw(ByteSpan bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

struct KeyPair::Impl {
  PkeyPtr key;
};

KeyPair::KeyPair(const Secret& secret) : impl_(std::make_unique<Impl>()), secret_(secret) {
  impl_->key.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, raw(secret.bytes()), Secret::kSize));
  GODWIT_ASSERT(impl_->key);
  std::size_t size = public_key_.size();
  GODWIT_ASSERT(EVP_PKEY_get_raw_public_key(impl_->key.get(), raw(ByteSpan(public_key_)), &size) == 1);
}
KeyPair::~KeyPair() = default;
KeyPair::KeyPair(KeyPair&&) noexcept = default;
KeyPair& KeyPair::operator=(KeyPair&&) noexcept = default;

KeyPair KeyPair::generate(sys::Random& random) {
  Secret secret;
  random.fill(secret.writable());
  return KeyPair(secret);
}

KeyPair KeyPair::of(const Secret& secret) { return KeyPair(secret); }

std::optional<Secret> KeyPair::agree(const PublicKey& other) const {
  const PkeyPtr peer(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, raw(ByteView(other)), other.size()));
  const PkeyContextPtr context(EVP_PKEY_CTX_new(impl_->key.get(), nullptr));
  GODWIT_ASSERT(peer && context && EVP_PKEY_derive_init(context.get()) == 1);
  Secret shared;
  std::size_t size = Secret::kSize;
  if (EVP_PKEY_derive_set_peer_ex(context.get(), peer.get(), 0) != 1 ||
      EVP_PKEY_derive(context.get(), raw(ByteSpan(shared.writable())), &size) != 1 || shared == Secret{}) {
    ERR_clear_error();
    return std::nullopt;
  }
  return shared;
}

}  // namespace godwit::crypto
