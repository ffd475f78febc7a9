#include "overlay/control_message.h"

#include "overlay/location_claim.h"
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
            "07"
            "636c6f75642d61"
            "02"
            "6131"  // cloud-a, a1
            "e5d24577ff5013f967c11cc4df9a400a");
  auto known = location;
  known.record = to_base64url(ByteVector(3, std::byte{0xab}));
  const auto with_record = to_hex(encode_control(7, {0x1122334455667788, Announce{id, known}}, key));
  const auto plain = to_hex(announce);
  EXPECT_EQ(with_record.substr(0, with_record.size() - 32),
            "05" + plain.substr(2, plain.size() - 2 - 32) + "0003ababab");
  known.claim = to_base64url(from_hex("020002aaaa0001bb").value());
  const auto with_claim = to_hex(encode_control(7, {0x1122334455667788, Announce{id, known}}, key));
  EXPECT_EQ(with_claim.substr(0, with_claim.size() - 32),
            "06" + plain.substr(2, plain.size() - 2 - 32) + "0003ababab" + "0008020002aaaa0001bb");
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
  const std::string longest(63, 'x');
  const auto record = to_base64url(ByteVector(243, std::byte{7}));
  LocationClaim claim{ByteVector(262, std::byte{8}), {}};  // as long as they get: docs/formats/host-record.md
  claim.hand_offs.assign(kMostHandOffs, ByteVector(322, std::byte{9}));
  const auto text = claim_to_text(claim);
  EXPECT_LE(text.size(), wire::kClaimText);
  for (const auto& control : {Control{9, Announce{id, {"c", "h", "fd00::1", 1, 1}}},
                              Control{9, Announce{id, {"c", "h", "::1", 1, 1, "AAAA"}}},
                              Control{9, Announce{id, {longest, longest, "fd00::1", 1, 1, record}}},
                              Control{9, Announce{id, {longest, longest, "fd00::1", 1, 1, record, text}}},
                              Control{9, Announce{id, {"c", "h", "::1", 1, 1, "", "AQABAA"}}}, Control{9, Ack{id, 4}},
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
  const auto good =
      encode_control(7, {1, Announce{testing::instance_id(1), {"cloud", "host", "10.0.0.1", 5, 9, "AAAA"}}}, key);
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
