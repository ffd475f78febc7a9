#include "base/bytes.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(Bytes, IntegersAreInNetworkOrder) {
  ByteVector out;
  append_be16(out, 0x0102);
  append_be32(out, 0x03040506);
  append_be64(out, 0x0708090a0b0c0d0eULL);
  EXPECT_EQ(to_hex(out), "0102030405060708090a0b0c0d0e");
  EXPECT_EQ(load_be16(out), 0x0102);
  EXPECT_EQ(load_be32(ByteView(out).subspan(2)), 0x03040506U);
  EXPECT_EQ(load_be64(ByteView(out).subspan(6)), 0x0708090a0b0c0d0eULL);
}

TEST(Bytes, HexAndBase64UrlReadBackWhatTheyWrote) {
  ByteVector bytes;
  for (int i = 0; i < 256; ++i) {
    bytes.push_back(static_cast<std::byte>(i * 37));
    EXPECT_EQ(from_hex(to_hex(bytes)).value(), bytes);
    EXPECT_EQ(from_base64url(to_base64url(bytes)).value(), bytes);
  }
  EXPECT_EQ(to_base64url(as_bytes("foobar")), "Zm9vYmFy");  // RFC 4648 section 10
}

TEST(Bytes, MalformedTextIsRefused) {
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("zz"));
  EXPECT_FALSE(from_base64url("a b"));
  EXPECT_FALSE(from_base64url("a"));
}

}  // namespace
}  // namespace godwit
