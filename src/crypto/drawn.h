// What engines are compared on. For this module's sources only.
#pragma once

#include "crypto/blake2s.h"

#include <array>
#include <cstdint>

namespace godwit::crypto {

// Bytes that look like chance, are the same in every process, and differ by `seed`.
inline ByteVector drawn(std::size_t size, std::uint8_t seed) {
  ByteVector out;
  out.reserve(size + 32);
  for (std::uint32_t i = 0; out.size() < size; ++i) {
    std::array<std::byte, 5> of{static_cast<std::byte>(seed)};
    store_be32(std::span(of).subspan(1), i);
    append(out, blake2s({ByteView(of)}));
  }
  out.resize(size);
  return out;
}

}  // namespace godwit::crypto
