// The bytes of docs/protocols/path.md and docs/protocols/relay.md.
#include "overlay/path_messages.h"

#include "overlay/relay_messages.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

sys::UdpEndpoint at(const char* ip, std::uint16_t port) { return *sys::parse_udp_endpoint(ip, port); }

PathMessage probe() {
  PathMessage out;
  out.in_use = true;
  out.token = 0x0102030405060708;
  return out;
}

PathMessage candidates() {
  PathMessage out;
  out.kind = PathMessageKind::candidates;
  out.token = 0x1112131415161718;
  out.count = 2;
  out.candidates[0] = {at("203.0.113.7", 41'000), CandidateKind::mapped};
  out.candidates[1] = {at("10.1.0.2", 4790), CandidateKind::local};
  return out;
}

PathMessage answer() {
  PathMessage out;
  out.kind = PathMessageKind::answer;
  out.token = 0x0102030405060708;
  out.count = 1;
  out.candidates[0] = {at("203.0.113.7", 41'000), CandidateKind::seen};
  return out;
}

PathMessage size() {
  PathMessage out;
  out.kind = PathMessageKind::size;
  out.token = 0x0102030405060708;
  out.payload_bytes = 48;
  return out;
}

TEST(PathMessages, AreTheBytesOfTheirDocument) {
  EXPECT_EQ(to_hex(encode_path_message(size())), "ffff0400010203040506070800000000" + std::string(64, '0'));
  EXPECT_EQ(to_hex(encode_path_message(probe())), "ffff0101010203040506070800000000" + std::string(40, '0'));
  EXPECT_EQ(to_hex(encode_path_message(answer())),
            "ffff020001020304050607080100000000000000000000000000ffffcb007107a0280000");
  EXPECT_EQ(to_hex(encode_path_message(candidates())),
            "ffff030011121314151617180200000000000000000000000000ffffcb007107a0280200"
            "00000000000000000000ffff0a01000212b60100");
}

TEST(PathMessages, ReadAsTheyWereWritten) {
  for (const auto& each : {probe(), answer(), candidates(), size(), PathMessage{.kind = PathMessageKind::candidates}}) {
    EXPECT_EQ(decode_path_message(encode_path_message(each)), each);
  }
}

TEST(PathMessages, ThatAreCutShortOrLongerThanTheySayAreNone) {
  for (const auto& each : {probe(), answer(), candidates()}) {
    const auto bytes = encode_path_message(each);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(decode_path_message(ByteView(bytes).first(size)));
    auto longer = bytes;
    longer.push_back({});
    EXPECT_FALSE(decode_path_message(longer));
  }
}

TEST(PathMessages, NobodyIsToldToSendToHimselfOrToMany) {
  for (const auto* ip :
       {"127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "ff02::1", "100::1"}) {
    auto message = candidates();
    message.candidates[0].at = at(ip, 1);
    EXPECT_FALSE(decode_path_message(encode_path_message(message))) << ip;
  }
  EXPECT_TRUE(is_sendable(at("2001:db8::1", 1)));
  EXPECT_FALSE(is_sendable(at("10.0.0.1", 0)));
}

TEST(RelayMessages, AreTheBytesOfTheirDocument) {
  crypto::PublicKey key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
  const std::string key_hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
  EXPECT_EQ(to_hex(encode_relay_message({.kind = RelayMessageKind::hello, .token = 7})),
            "01010000000000000000000000000007" + std::string(48, '0'));
  EXPECT_EQ(to_hex(encode_relay_message({.kind = RelayMessageKind::bind, .key = key})), "0102000000000000" + key_hex);
  EXPECT_EQ(
      to_hex(encode_relay_message({.kind = RelayMessageKind::here, .token = 7, .seen = at("203.0.113.7", 41'000)})),
      "0181000000000000000000000000000700000000000000000000ffffcb007107a028000000000000");
  EXPECT_EQ(to_hex(encode_relay_message({.kind = RelayMessageKind::bound, .channel = 0x00112233, .key = key})),
            "0182000000112233" + key_hex);
}

TEST(RelayMessages, ReadAsTheyWereWritten) {
  const RelayMessage messages[] = {{.kind = RelayMessageKind::hello, .token = 9},
                                   {.kind = RelayMessageKind::here, .token = 9, .seen = at("::5", 5)},
                                   {.kind = RelayMessageKind::bound, .channel = 3},
                                   {.kind = RelayMessageKind::absent}};
  for (const auto& each : messages) {
    const auto bytes = encode_relay_message(each);
    EXPECT_EQ(decode_relay_message(bytes), each);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(decode_relay_message(ByteView(bytes).first(size)));
  }
}

TEST(RelayMessages, ACarriedDatagramIsToldFromThoseOfSessions) {
  std::array<std::byte, kRelayHeader + 1> carried{};
  write_carried_header(carried, 0x00112233);
  EXPECT_EQ(to_hex(ByteView(carried).first(kRelayHeader)), "2000000000112233");
  EXPECT_EQ(carried_channel(carried), 0x00112233U);
  EXPECT_FALSE(carried_channel(ByteView(carried).first(kRelayHeader))) << "nothing is carried";
  write_carried_header(carried, 0);
  EXPECT_FALSE(carried_channel(carried));
  carried[0] = std::byte{0x14};
  EXPECT_FALSE(carried_channel(carried));
}

}  // namespace
}  // namespace godwit::overlay
