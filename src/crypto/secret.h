// Bytes that nobody should find in memory afterwards: wiped where they end.
#pragma once

#include "base/bytes.h"

#include <array>

namespace godwit::crypto {

// Overwrites in a way that no compiler leaves out.
void wipe(ByteSpan bytes);

// 32 bytes: a private key, a shared secret, a chaining key, a pre-shared key. All zero at first.
class Secret {
 public:
  static constexpr std::size_t kSize = 32;

  Secret() = default;
  explicit Secret(std::span<const std::byte, kSize> bytes);
  ~Secret() { wipe(bytes_); }
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;

  [[nodiscard]] std::span<const std::byte, kSize> bytes() const { return bytes_; }
  [[nodiscard]] std::span<std::byte, kSize> writable() { return bytes_; }
  // In constant time.
  bool operator==(const Secret& other) const;

 private:
  std::array<std::byte, kSize> bytes_{};
};

}  // namespace godwit::crypto
