#include "overlay/control_message.h"

#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

crypto::MacKey test_key() { return crypto::MacKey(ByteVector(32, std::byte{0xaa})); }

// These bytes are docs/protocols/overlay.md: a change of them is a new version of the protocol.
TEST(ControlMessage, ControlDatagramsAreTheseBytes) {
  auto key = test_key();
  const auto id = "i-0123456789abcdef0";
  const wire::Location location{"cloud-a", "a1", "10.1.0.2", 4790, 7};
  const auto announce = encode_control(7, {0x1122334455667788, Announce{id, location}}, key);
  EXPECT_EQ(to_hex(announce),
            "01"
            "1122334455667788"                        // announce, nonce
            "692d3031323334353637383961626364656630"  // instance
            "0000000000000007"                        // version
            "00000000000000000000ffff0a010002"
            "12b6"  // 10.1.0.2:4790
            "0000000000000000000000000000000000000000000000000000000000000000"  // its key: not known
            "07"
            "636c6f75642d61"
            "02"
            "6131"  // cloud-a, a1
            "98073b02b6eb49fc98dc8536841d2c28");
  EXPECT_EQ(to_hex(encode_control(7, {1, Ack{id, 7}}, key)),
            "02"
            "0000000000000001"
            "692d3031323334353637383961626364656630"
            "0000000000000007"
            "d10ad0c7d871086f35819ad96e28f5df");
  EXPECT_EQ(to_hex(encode_control(7, {1, Probe{}}, key)),
            "03"
            "0000000000000001"
            "a5b6b954960c8fb2d22784bb2b7df410");
  EXPECT_EQ(to_hex(encode_control(7, {1, Pong{}}, key)),
            "04"
            "0000000000000001"
            "133b7b95896e5cc1a572282d42f23be3");
}

TEST(ControlMessage, WhatIsEncodedIsRead) {
  auto key = test_key();
  const auto id = testing::instance_id(3);
  for (const auto& control : {Control{9, Announce{id, {"c", "h", "fd00::1", 1, 1}}}, Control{9, Ack{id, 4}},
                              Control{9, Probe{}}, Control{9, Pong{}}}) {
    const auto read = decode_control(7, encode_control(7, control, key), key);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, control);
  }
}

TEST(ControlMessage, AnotherKeyOrAFlippedBitIsNotAuthentic) {
  auto key = test_key();
  crypto::MacKey other(ByteVector(32, std::byte{0xab}));
  const auto good = encode_control(7, {1, Ack{testing::instance_id(1), 7}}, key);
  EXPECT_EQ(decode_control(7, good, other).error(), Drop::not_authentic);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(decode_control(7, bad, key));
  }
}

TEST(ControlMessage, EveryTruncationOfAnAuthenticBodyIsMalformed) {
  auto key = test_key();
  const auto good = encode_control(7, {1, Announce{testing::instance_id(1), {"cloud", "host", "10.0.0.1", 5, 9}}}, key);
  const auto message = ByteView(good).first(good.size() - kControlMacBytes);
  for (std::size_t size = 0; size < message.size(); ++size) {
    ByteVector cut(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
    ByteVector covered;
    append_be32(covered, 7);
    append(covered, cut);
    append(cut, key.compute(covered));
    const auto read = decode_control(7, cut, key);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error(), Drop::malformed);
  }
}

}  // namespace
}  // namespace godwit::overlay
