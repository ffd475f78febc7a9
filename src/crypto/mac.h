// HMAC-SHA-256 (RFC 2104), truncated to its first 16 bytes: 128 bits, as RFC 4868 has it.
#pragma once

#include "base/bytes.h"

#include <array>
#include <memory>

namespace godwit::crypto {

using Mac = std::array<std::byte, 16>;

// A key that is set up once and used for many messages.
class MacKey {
 public:
  explicit MacKey(ByteView key);  // any size but 0
  ~MacKey();
  MacKey(MacKey&&) noexcept;
  MacKey& operator=(MacKey&&) noexcept;

  // Of the concatenation of the two; the second is for callers whose message lies in two places.
  [[nodiscard]] Mac compute(ByteView first, ByteView second = {}) const;
  [[nodiscard]] bool verify(ByteView message, ByteView mac) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::crypto
