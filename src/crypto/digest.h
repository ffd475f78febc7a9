// SHA-256.
#pragma once

#include "base/bytes.h"

#include <array>
#include <memory>
#include <string>

namespace godwit::crypto {

using Sha256Digest = std::array<std::byte, 32>;

[[nodiscard]] Sha256Digest sha256(ByteView bytes);
[[nodiscard]] std::string sha256_hex(ByteView bytes);  // lower case

// Of content that comes in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(ByteView bytes);
  // The digest of all pieces since the last call; starts anew.
  [[nodiscard]] Sha256Digest finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// In a time that depends on the sizes alone.
[[nodiscard]] bool equal_secrets(ByteView a, ByteView b);

}  // namespace godwit::crypto
