// Authenticated encryption of datagrams in place: AES-256-GCM (NIST SP 800-38D) and ChaCha20-Poly1305 (RFC 8439), each
// with a nonce of 12 bytes and a tag of 16; and XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) for single messages.
//
// AES-256-GCM is Intel's libipsec-mb where library and processor have it, else OpenSSL; docs/decisions/aead.md has why.
#pragma once

#include "base/bytes.h"

#include <array>
#include <memory>
#include <string_view>

namespace godwit::crypto {

enum class Cipher : std::uint8_t { aes256_gcm, chacha20_poly1305 };

constexpr std::size_t kAeadTag = 16;
using Nonce = std::array<std::byte, 12>;
using Tag = std::span<std::byte, kAeadTag>;
using TagView = std::span<const std::byte, kAeadTag>;

// One key, set up for one cipher. seal() and open() allocate nothing. One strand.
class AeadKey {
 public:
  virtual ~AeadKey() = default;
  // Encrypts `text` in place. A nonce is used once under one key: the caller counts.
  virtual void seal(const Nonce& nonce, ByteView associated, ByteSpan text, Tag tag) = 0;
  // Decrypts in place. False: not authentic, and what `text` then holds is nothing.
  [[nodiscard]] virtual bool open(const Nonce& nonce, ByteView associated, ByteSpan text, TagView tag) = 0;
};

// Which implementation does what. Outlives the keys that it made.
class Ciphers {
 public:
  enum class Engine : std::uint8_t { openssl, ipsec_mb };

  // The fastest that this machine has. libipsec-mb is taken only if it seals and opens drawn messages of many lengths
  // as OpenSSL does; this takes about a millisecond.
  [[nodiscard]] static Ciphers fastest();
  [[nodiscard]] static Ciphers openssl();
  ~Ciphers();
  Ciphers(Ciphers&&) noexcept;
  Ciphers& operator=(Ciphers&&) noexcept;

  [[nodiscard]] Engine gcm_engine() const;
  // `key` has 32 bytes.
  [[nodiscard]] std::unique_ptr<AeadKey> key(Cipher cipher, ByteView key) const;

 private:
  struct Impl;
  explicit Ciphers(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

using LongNonce = std::array<std::byte, 24>;
void seal_xchacha(ByteView key, const LongNonce& nonce, ByteView associated, ByteSpan text, Tag tag);
[[nodiscard]] bool open_xchacha(ByteView key, const LongNonce& nonce, ByteView associated, ByteSpan text, TagView tag);
// The key that XChaCha20 makes of a key and the first 16 bytes of a nonce.
[[nodiscard]] std::array<std::byte, 32> hchacha20(ByteView key, ByteView nonce);

}  // namespace godwit::crypto
