#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/aead_engines.h"
#include "crypto/secret.h"

#include <algorithm>
#include <bit>

namespace godwit::crypto {
namespace {

std::uint32_t load_le32(ByteView bytes) {
  return std::to_integer<std::uint32_t>(bytes[0]) | std::to_integer<std::uint32_t>(bytes[1]) << 8U |
         std::to_integer<std::uint32_t>(bytes[2]) << 16U | std::to_integer<std::uint32_t>(bytes[3]) << 24U;
}

using State = std::array<std::uint32_t, 16>;

void quarter(State& s, unsigned a, unsigned b, unsigned c, unsigned d) {
  s[a] += s[b];
  s[d] = std::rotl(s[d] ^ s[a], 16);
  s[c] += s[d];
  s[b] = std::rotl(s[b] ^ s[c], 12);
  s[a] += s[b];
  s[d] = std::rotl(s[d] ^ s[a], 8);
  s[c] += s[d];
  s[b] = std::rotl(s[b] ^ s[c], 7);
}

// The key and the nonce that ChaCha20-Poly1305 goes on with (draft-irtf-cfrg-xchacha-03, section 2.3).
std::pair<Secret, Nonce> inner_of(ByteView key, const LongNonce& nonce) {
  Nonce inner{};
  std::copy(nonce.begin() + 16, nonce.end(), inner.begin() + 4);
  return {Secret(hchacha20(key, ByteView(nonce).first(16))), inner};
}

}  // namespace

std::array<std::byte, 32> hchacha20(ByteView key, ByteView nonce) {
  GODWIT_ASSERT(key.size() == 32 && nonce.size() == 16);
  State s{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  for (unsigned i = 0; i < 8; ++i) s[4 + i] = load_le32(key.subspan(std::size_t{4} * i));
  for (unsigned i = 0; i < 4; ++i) s[12 + i] = load_le32(nonce.subspan(std::size_t{4} * i));
  for (int round = 0; round < 10; ++round) {
    for (unsigned i = 0; i < 4; ++i) quarter(s, i, 4 + i, 8 + i, 12 + i);
    for (unsigned i = 0; i < 4; ++i) quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
  }
  std::array<std::byte, 32> out;
  for (unsigned i = 0; i < 32; ++i) {
    out[i] = static_cast<std::byte>(s[i < 16 ? i / 4 : 8 + i / 4] >> (8U * (i % 4)));
  }
  return out;
}

void seal_xchacha(ByteView key, const LongNonce& nonce, ByteView associated, ByteSpan text, Tag tag) {
  const auto [inner_key, inner_nonce] = inner_of(key, nonce);
  openssl_key(Cipher::chacha20_poly1305, inner_key.bytes())->seal(inner_nonce, associated, text, tag);
}

bool open_xchacha(ByteView key, const LongNonce& nonce, ByteView associated, ByteSpan text, TagView tag) {
  const auto [inner_key, inner_nonce] = inner_of(key, nonce);
  return openssl_key(Cipher::chacha20_poly1305, inner_key.bytes())->open(inner_nonce, associated, text, tag);
}

}  // namespace godwit::crypto
