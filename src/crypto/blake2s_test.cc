#include "crypto/blake2s.h"

#include "crypto/openssl.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::crypto {
namespace {

ByteVector sequence(std::size_t size, std::uint32_t seed) {  // RFC 7693, appendix E
  ByteVector out;
  std::uint32_t a = 0xdead4badU * seed;
  std::uint32_t b = 1;
  while (out.size() < size) {
    const auto next = a + b;
    a = b;
    b = next;
    out.push_back(static_cast<std::byte>(next >> 24U));
  }
  return out;
}

ByteVector digest_of(ByteView bytes, std::size_t size, ByteView key) {
  Blake2s hash(size, key);
  hash.update(bytes);
  ByteVector out(size);
  hash.finish(out);
  return out;
}

TEST(Blake2sTest, DigestsAsTheRfcShows) {
  EXPECT_EQ(to_hex(blake2s({as_bytes("abc")})), "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

TEST(Blake2sTest, PassesTheSelfTestOfTheRfc) {
  Blake2s all;
  for (const std::size_t digest_size : {16, 20, 28, 32}) {
    for (const std::size_t size : {0, 3, 64, 65, 255, 1024}) {
      const auto input = sequence(size, static_cast<std::uint32_t>(size));
      all.update(digest_of(input, digest_size, {}));
      all.update(digest_of(input, digest_size, sequence(digest_size, static_cast<std::uint32_t>(digest_size))));
    }
  }
  Blake2sDigest digest;
  all.finish(digest);
  EXPECT_EQ(to_hex(digest), "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe");
}

TEST(Blake2sTest, AgreesWithOpenssl) {
  for (std::size_t size = 0; size < 300; ++size) {
    const auto input = sequence(size, 7);
    Blake2sDigest expected;
    ASSERT_EQ(EVP_Digest(input.data(), size, reinterpret_cast<unsigned char*>(expected.data()), nullptr,
                         EVP_blake2s256(), nullptr),
              1);
    EXPECT_EQ(blake2s({ByteView(input).first(size / 3), ByteView(input).subspan(size / 3)}), expected) << size;
  }
}

TEST(Blake2sTest, AuthenticatesAsOpensslDoes) {
  const std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  const auto key = sequence(32, 3);
  const PkeyPtr pkey(EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, nullptr,
                                                  reinterpret_cast<const unsigned char*>(key.data()), key.size()));
  const auto message = sequence(200, 4);
  Blake2sDigest expected;
  std::size_t size = expected.size();
  ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_blake2s256(), nullptr, pkey.get()), 1);
  ASSERT_EQ(EVP_DigestSignUpdate(context.get(), message.data(), message.size()), 1);
  ASSERT_EQ(EVP_DigestSignFinal(context.get(), reinterpret_cast<unsigned char*>(expected.data()), &size), 1);
  EXPECT_EQ(hmac_blake2s(key, {ByteView(message).first(70), ByteView(message).subspan(70)}), expected);
}

}  // namespace
}  // namespace godwit::crypto
