#include "wire/nbd_greeting.h"

#include "base/bytes.h"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

constexpr std::uint16_t kFlags = 0x0001 | 0x0004 | 0x0008 | 0x0020 | 0x0100;  // flags, flush, FUA, trim, multi-conn

void put(ByteVector& out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

void put_reply(ByteVector& out, std::uint32_t option, std::uint32_t type, const ByteVector& data) {
  put(out, 0x3e889045565a9ULL, 8);
  put(out, option, 4);
  put(out, type, 4);
  put(out, data.size(), 4);
  out.insert(out.end(), data.begin(), data.end());
}

ByteVector export_of(std::uint16_t type, std::uint16_t flags) {
  ByteVector data;
  put(data, type, 2);
  put(data, 0x40000000, 8);
  put(data, flags, 2);
  return data;
}

// What QEMU 7.2 says to a client that asks for structured replies and then for "disk0".
ByteVector handshake(std::uint16_t flags) {
  ByteVector out;
  for (const char c : std::string("NBDMAGICIHAVEOPT")) out.push_back(static_cast<std::byte>(c));
  put(out, 3, 2);
  put_reply(out, 8, 1, {});
  put_reply(out, 7, 3, export_of(0, flags));
  put_reply(out, 7, 3, export_of(3, flags));  // block sizes: other data of the same length
  put_reply(out, 7, 1, {});
  return out;
}

ByteVector passed(ByteVector bytes, std::size_t part) {
  NbdGreeting greeting;
  for (std::size_t at = 0; at < bytes.size(); at += part) {
    greeting.pass(std::span(bytes).subspan(at, std::min(part, bytes.size() - at)));
  }
  return bytes;
}

TEST(NbdGreeting, TheExportOffersNeitherFlushNorForcedUnitAccess) {
  auto wanted = handshake(kFlags);
  const auto plain = handshake(kFlags & ~0x000c);
  // Only NBD_INFO_EXPORT is changed: its flags end 20 bytes of header and 12 of data behind the first reply.
  const std::size_t flags = 18 + 20 + 20 + 11;
  wanted[flags] = plain[flags];
  for (const std::size_t part : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
    EXPECT_EQ(passed(handshake(kFlags), part), wanted);
  }
}

TEST(NbdGreeting, WhatFollowsTheHandshakeIsNeverTouched) {
  auto bytes = handshake(0x0001);
  const auto replies = handshake(kFlags);  // looks like one, and is a disk's content
  bytes.insert(bytes.end(), replies.begin(), replies.end());
  EXPECT_EQ(passed(bytes, 5), bytes);
}

TEST(NbdGreeting, WhatIsNoNewstyleServerPasses) {
  auto bytes = handshake(kFlags);
  bytes[9] = std::byte{0};
  EXPECT_EQ(passed(bytes, 3), bytes);
  bytes = handshake(kFlags);
  bytes[18] = std::byte{0x77};  // the first reply's magic
  EXPECT_EQ(passed(bytes, 3), bytes);
}

}  // namespace
}  // namespace godwit::wire
