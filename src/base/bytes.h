// Views of bytes, big-endian integers, hex and base64url.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace godwit {

using ByteView = std::span<const std::byte>;
using ByteSpan = std::span<std::byte>;
using ByteVector = std::vector<std::byte>;

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Network byte order. `bytes` must hold the integer: callers check lengths first.
[[nodiscard]] std::uint16_t load_be16(ByteView bytes);
[[nodiscard]] std::uint32_t load_be32(ByteView bytes);
[[nodiscard]] std::uint64_t load_be64(ByteView bytes);
void store_be16(ByteSpan bytes, std::uint16_t value);
void store_be32(ByteSpan bytes, std::uint32_t value);
void store_be64(ByteSpan bytes, std::uint64_t value);
void append_be16(ByteVector& out, std::uint16_t value);
void append_be32(ByteVector& out, std::uint32_t value);
void append_be64(ByteVector& out, std::uint64_t value);
void append(ByteVector& out, ByteView bytes);

[[nodiscard]] std::string to_hex(ByteView bytes);
// Errors: invalid_argument (odd length, or a character that is no hex digit).
[[nodiscard]] Result<ByteVector> from_hex(std::string_view text);

// RFC 4648 section 5, without padding.
[[nodiscard]] std::string to_base64url(ByteView bytes);
[[nodiscard]] Result<ByteVector> from_base64url(std::string_view text);

}  // namespace godwit
