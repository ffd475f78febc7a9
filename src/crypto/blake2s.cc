#include "crypto/blake2s.h"

#include "base/assert.h"
#include "crypto/secret.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace godwit::crypto {
namespace {

constexpr std::array<std::uint32_t, 8> kStart{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

constexpr std::uint8_t kSigma[10][16] = {  // RFC 7693, section 2.7
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

std::uint32_t load_le32(const std::byte* bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return std::endian::native == std::endian::little ? value : __builtin_bswap32(value);
}

void mix(std::array<std::uint32_t, 16>& v, unsigned a, unsigned b, unsigned c, unsigned d, std::uint32_t x,
         std::uint32_t y) {
  v[a] = v[a] + v[b] + x;
  v[d] = std::rotr(v[d] ^ v[a], 16);
  v[c] = v[c] + v[d];
  v[b] = std::rotr(v[b] ^ v[c], 12);
  v[a] = v[a] + v[b] + y;
  v[d] = std::rotr(v[d] ^ v[a], 8);
  v[c] = v[c] + v[d];
  v[b] = std::rotr(v[b] ^ v[c], 7);
}

}  // namespace

Blake2s::Blake2s(std::size_t digest_size, ByteView key) : state_(kStart), digest_size_(digest_size) {
  GODWIT_ASSERT(digest_size >= 1 && digest_size <= 32 && key.size() <= 32);
  state_[0] ^= 0x01010000U ^ (static_cast<std::uint32_t>(key.size()) << 8U) ^ static_cast<std::uint32_t>(digest_size);
  if (key.empty()) return;
  std::ranges::copy(key, block_.begin());
  filled_ = kBlock;
}

Blake2s::~Blake2s() {
  wipe(block_);
  wipe(std::as_writable_bytes(std::span(state_)));
}

void Blake2s::update(ByteView bytes) {
  while (!bytes.empty()) {
    if (filled_ == kBlock) compress(false);  // only now: the last block is finish()'s
    const auto part = bytes.first(std::min(bytes.size(), kBlock - filled_));
    std::memcpy(block_.data() + filled_, part.data(), part.size());
    filled_ += part.size();
    bytes = bytes.subspan(part.size());
  }
}

void Blake2s::finish(ByteSpan digest) {
  GODWIT_ASSERT(digest.size() == digest_size_);
  std::fill(block_.begin() + static_cast<std::ptrdiff_t>(filled_), block_.end(), std::byte{0});
  compress(true);
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::byte>(state_[i / 4] >> (8U * (i % 4)));
  }
}

void Blake2s::compress(bool last) {
  total_ += filled_;
  filled_ = 0;
  std::array<std::uint32_t, 16> v;
  std::ranges::copy(state_, v.begin());
  std::ranges::copy(kStart, v.begin() + 8);
  v[12] ^= static_cast<std::uint32_t>(total_);
  v[13] ^= static_cast<std::uint32_t>(total_ >> 32U);
  if (last) v[14] = ~v[14];
  std::array<std::uint32_t, 16> m;
  for (std::size_t i = 0; i < 16; ++i) m[i] = load_le32(block_.data() + 4 * i);
  for (const auto& s : kSigma) {
    mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
    mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
    mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
    mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
    mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
    mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
    mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
    mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
  }
  for (unsigned i = 0; i < 8; ++i) state_[i] ^= v[i] ^ v[i + 8];
}

Blake2sDigest blake2s(std::initializer_list<ByteView> parts) {
  Blake2s hash;
  for (const auto part : parts) hash.update(part);
  Blake2sDigest digest;
  hash.finish(digest);
  return digest;
}

Blake2sMac blake2s_mac(ByteView key, std::initializer_list<ByteView> parts) {
  Blake2sMac mac;
  Blake2s hash(mac.size(), key);
  for (const auto part : parts) hash.update(part);
  hash.finish(mac);
  return mac;
}

Blake2sDigest hmac_blake2s(ByteView key, std::initializer_list<ByteView> parts) {
  constexpr std::size_t kBlock = 64;
  GODWIT_ASSERT(key.size() <= kBlock);
  std::array<std::byte, kBlock> pad{};
  std::ranges::copy(key, pad.begin());
  for (auto& each : pad) each ^= std::byte{0x36};
  Blake2s inner;
  inner.update(pad);
  for (const auto part : parts) inner.update(part);
  Blake2sDigest digest;
  inner.finish(digest);
  for (auto& each : pad) each ^= std::byte{0x36} ^ std::byte{0x5c};
  Blake2s outer;
  outer.update(pad);
  outer.update(digest);
  outer.finish(digest);
  wipe(pad);
  return digest;
}

}  // namespace godwit::crypto
