#include "crypto/aead.h"

#include "base/assert.h"
#include "crypto/aead_engines.h"
#include "crypto/drawn.h"

#include <algorithm>

namespace godwit::crypto {
namespace {

bool same_message(AeadKey& trusted, AeadKey& other, std::size_t size, std::size_t associated_size) {
  const auto associated = drawn(associated_size, 3);
  const auto plain = drawn(size, 4);
  Nonce nonce;
  std::ranges::copy(drawn(nonce.size(), static_cast<std::uint8_t>(size)), nonce.begin());
  auto a = plain;
  auto b = plain;
  std::array<std::byte, kAeadTag> a_tag;
  std::array<std::byte, kAeadTag> b_tag;
  trusted.seal(nonce, associated, a, a_tag);
  other.seal(nonce, associated, b, b_tag);
  if (a != b || a_tag != b_tag) return false;
  if (!other.open(nonce, associated, b, b_tag) || b != plain) return false;
  a_tag[size % kAeadTag] ^= std::byte{1};
  return !other.open(nonce, associated, a, a_tag);
}

// Lengths around each border of the library's loops, and those of real datagrams.
bool same_cipher(AeadKey& trusted, AeadKey& other) {
  for (std::size_t size = 0; size <= 288; ++size) {
    if (!same_message(trusted, other, size, size % 40)) return false;
  }
  return std::ranges::all_of(std::to_array<std::size_t>({511, 768, 1024, 1280, 1408, 1424, 1440, 1500, 4096, 8972}),
                             [&](auto size) { return same_message(trusted, other, size, 0); });
}

}  // namespace

std::unique_ptr<IpsecMb> if_same_as_openssl(std::unique_ptr<IpsecMb> ipsec_mb) {
  if (!ipsec_mb) return nullptr;
  const auto key = drawn(32, 1);
  if (!same_cipher(*openssl_key(Cipher::aes256_gcm, key), *ipsec_mb->gcm_key(key))) return nullptr;
  return ipsec_mb;
}

struct Ciphers::Impl {
  std::unique_ptr<IpsecMb> ipsec_mb;  // null: OpenSSL does it
};

Ciphers::Ciphers(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ciphers::~Ciphers() = default;
Ciphers::Ciphers(Ciphers&&) noexcept = default;
Ciphers& Ciphers::operator=(Ciphers&&) noexcept = default;

Ciphers Ciphers::openssl() { return Ciphers(std::make_unique<Impl>()); }

Ciphers Ciphers::fastest() { return Ciphers(std::make_unique<Impl>(if_same_as_openssl(load_ipsec_mb()))); }

Ciphers::Engine Ciphers::gcm_engine() const { return impl_->ipsec_mb ? Engine::ipsec_mb : Engine::openssl; }

std::unique_ptr<AeadKey> Ciphers::key(Cipher cipher, ByteView key) const {
  if (cipher == Cipher::aes256_gcm && impl_->ipsec_mb) return impl_->ipsec_mb->gcm_key(key);
  return openssl_key(cipher, key);
}

}  // namespace godwit::crypto
