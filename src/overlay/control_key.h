// The key of a network, as its switches authenticate their control datagrams with it: HMAC-SHA-256, first 128 bits
// (RFC 4868's HMAC-SHA-256-128).
#pragma once

#include "base/bytes.h"

#include <array>
#include <memory>

namespace godwit::overlay {

constexpr std::size_t kControlMacBytes = 16;
using ControlMac = std::array<std::byte, kControlMacBytes>;

class ControlKey {
 public:
  // `key` is the network's 32 bytes.
  explicit ControlKey(ByteView key);
  ~ControlKey();
  ControlKey(ControlKey&&) noexcept;
  ControlKey& operator=(ControlKey&&) noexcept;

  [[nodiscard]] ControlMac mac(ByteView message);
  // In constant time.
  [[nodiscard]] bool holds(ByteView message, ByteView mac);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;  // hides OpenSSL's headers
};

}  // namespace godwit::overlay
