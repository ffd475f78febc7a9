#include "overlay/datagram.h"

#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

crypto::MacKey test_key() { return crypto::MacKey(ByteVector(32, std::byte{0xaa})); }

// These bytes are docs/protocols/overlay.md: a change of them is a new version of the protocol.
TEST(Datagram, TheHeaderIsTheseBytes) {
  ByteVector out(kHeaderBytes);
  write_header(out, {DatagramType::data, 1, 2, 0x123456});
  EXPECT_EQ(to_hex(out), "0101010212345600");
  EXPECT_EQ(*read_header(out), (Header{DatagramType::data, 1, 2, 0x123456}));
}

TEST(Datagram, ControlDatagramsAreTheseBytes) {
  auto key = test_key();
  const auto id = "i-0123456789abcdef0";
  const wire::Location location{"cloud-a", "a1", "10.1.0.2", 4790, 7};
  const auto announce = encode_control(7, {0x1122334455667788, Announce{id, location}}, key);
  EXPECT_EQ(to_hex(announce),
            "0102010000000700"  // header: version 1, control, clear, vni 7
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
            "9503e068f906af4d3408aa8b4715ebd1");
  auto known = location;
  known.record = to_base64url(ByteVector(3, std::byte{0xab}));
  const auto with_record = to_hex(encode_control(7, {0x1122334455667788, Announce{id, known}}, key));
  const auto plain = to_hex(announce);
  EXPECT_EQ(with_record.substr(0, with_record.size() - 32),
            "010201000000070005" + plain.substr(18, plain.size() - 18 - 32) + "0003ababab");
  EXPECT_EQ(to_hex(encode_control(7, {1, Ack{id, 7}}, key)),
            "0102010000000700"
            "02"
            "0000000000000001"
            "692d3031323334353637383961626364656630"
            "0000000000000007"
            "cd6623400cc575a7e87008c162c117fd");
  EXPECT_EQ(to_hex(encode_control(7, {1, Probe{}}, key)),
            "0102010000000700"
            "03"
            "0000000000000001"
            "710dc81caeae3ce1f8769e41c214aeda");
  EXPECT_EQ(to_hex(encode_control(7, {1, Pong{}}, key)),
            "0102010000000700"
            "04"
            "0000000000000001"
            "e662f88880221a16accccab0d0d1df8b");
}

TEST(Datagram, WhatIsEncodedIsRead) {
  auto key = test_key();
  const auto id = testing::instance_id(3);
  const std::string longest(63, 'x');
  const auto record = to_base64url(ByteVector(243, std::byte{7}));
  for (const auto& control : {Control{9, Announce{id, {"c", "h", "fd00::1", 1, 1}}},
                              Control{9, Announce{id, {"c", "h", "::1", 1, 1, "", "AAAA"}}},
                              Control{9, Announce{id, {longest, longest, "fd00::1", 1, 1, "", record}}},
                              Control{9, Ack{id, 4}}, Control{9, Probe{}}, Control{9, Pong{}}}) {
    const auto read = decode_control(encode_control(7, control, key), key);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, control);
  }
}

TEST(Datagram, RefusesHeadersThatCannotBe) {
  for (const auto* hex : {"", "01010100000007", "0001010000000700", "0201010000000700", "0103010000000700",
                          "0101000000000700", "0101010000000000", "0101010000000701"}) {
    EXPECT_FALSE(read_header(*from_hex(hex))) << hex;
  }
}

TEST(Datagram, AnotherKeyOrAFlippedBitIsNotAuthentic) {
  auto key = test_key();
  crypto::MacKey other(ByteVector(32, std::byte{0xab}));
  const auto good = encode_control(7, {1, Ack{testing::instance_id(1), 7}}, key);
  EXPECT_EQ(decode_control(good, other).error(), Drop::not_authentic);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(decode_control(bad, key));
  }
}

TEST(Datagram, EveryTruncationOfAnAuthenticBodyIsMalformed) {
  auto key = test_key();
  const auto good =
      encode_control(7, {1, Announce{testing::instance_id(1), {"cloud", "host", "10.0.0.1", 5, 9, "", "AAAA"}}}, key);
  const auto message = ByteView(good).first(good.size() - kControlMacBytes);
  for (std::size_t size = kHeaderBytes; size < message.size(); ++size) {
    ByteVector cut(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
    append(cut, key.compute(cut));
    const auto read = decode_control(cut, key);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error(), Drop::malformed);
  }
}

}  // namespace
}  // namespace godwit::overlay
