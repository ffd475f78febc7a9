// BLAKE2s (RFC 7693), plain and keyed, and HMAC (RFC 2104) on it. Own code: OpenSSL's costs more in setting up a hash
// than the hash itself, and a flood of handshakes is checked with nothing else. Allocates nothing.
#pragma once

#include "base/bytes.h"

#include <array>
#include <initializer_list>

namespace godwit::crypto {

using Blake2sDigest = std::array<std::byte, 32>;
using Blake2sMac = std::array<std::byte, 16>;

class Blake2s {
 public:
  // A digest of `digest_size` bytes, 1 to 32; `key` of at most 32.
  explicit Blake2s(std::size_t digest_size = 32, ByteView key = {});
  ~Blake2s();
  Blake2s(const Blake2s&) = default;
  Blake2s& operator=(const Blake2s&) = default;

  void update(ByteView bytes);
  // Writes digest_size bytes. Once; nothing goes after it.
  void finish(ByteSpan digest);

 private:
  void compress(bool last);

  static constexpr std::size_t kBlock = 64;
  std::array<std::uint32_t, 8> state_;
  std::array<std::byte, kBlock> block_{};
  std::size_t filled_{0};
  std::uint64_t total_{0};
  std::size_t digest_size_;
};

// Of the concatenation of the parts.
[[nodiscard]] Blake2sDigest blake2s(std::initializer_list<ByteView> parts);
[[nodiscard]] Blake2sMac blake2s_mac(ByteView key, std::initializer_list<ByteView> parts);
[[nodiscard]] Blake2sDigest hmac_blake2s(ByteView key, std::initializer_list<ByteView> parts);

}  // namespace godwit::crypto
