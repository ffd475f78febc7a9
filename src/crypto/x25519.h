// X25519 (RFC 7748): key pairs of hosts and of handshakes, and what two of them agree on.
#pragma once

#include "crypto/secret.h"
#include "sys/clock.h"

#include <memory>
#include <optional>

namespace godwit::crypto {

using PublicKey = std::array<std::byte, 32>;

// A private key that is set up once, and its public half. Moves, and doesn't copy.
class KeyPair {
 public:
  [[nodiscard]] static KeyPair generate(sys::Random& random);
  [[nodiscard]] static KeyPair of(const Secret& secret);
  ~KeyPair();
  KeyPair(KeyPair&&) noexcept;
  KeyPair& operator=(KeyPair&&) noexcept;

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] const Secret& secret() const { return secret_; }
  // The shared secret; none when `other` is one of the few points that leave no secret (all zero). About 50 us.
  [[nodiscard]] std::optional<Secret> agree(const PublicKey& other) const;

 private:
  struct Impl;
  explicit KeyPair(const Secret& secret);
  std::unique_ptr<Impl> impl_;
  Secret secret_;
  PublicKey public_key_{};
};

}  // namespace godwit::crypto
