#include "wire/nbd_stream.h"

#include "support/stretch_rules.h"

#include <gmock/gmock.h>

#include <random>

namespace godwit::wire {
namespace {

using testing::Page;
using testing::pages_of;
using testing::read_in_pieces;
using testing::read_whole;

constexpr std::uint64_t kDisk = 1ULL << 63U;
constexpr std::uint16_t kRead = 0;
constexpr std::uint16_t kWrite = 1;
constexpr std::uint16_t kDisconnect = 2;
constexpr std::uint16_t kFlush = 3;
constexpr std::uint16_t kTrim = 4;
constexpr std::uint16_t kCache = 5;
constexpr std::uint16_t kWriteZeroes = 6;
constexpr std::uint16_t kBlockStatus = 7;
constexpr std::size_t kRequestBytes = 28;

void put_option(ByteVector& out, std::uint32_t option, std::string_view data) {
  append(out, as_bytes("IHAVEOPT"));
  append_be32(out, option);
  append_be32(out, static_cast<std::uint32_t>(data.size()));
  append(out, as_bytes(data));
}

void put_request(ByteVector& out, std::uint16_t type, std::uint64_t offset, std::uint32_t length) {
  append_be32(out, 0x25609513);
  append_be16(out, 0);
  append_be16(out, type);
  append_be64(out, 0x1111);
  append_be64(out, offset);
  append_be32(out, length);
  if (type == kWrite) out.resize(out.size() + length, std::byte{0x25});
}

void put_extended(ByteVector& out, std::uint16_t flags, std::uint16_t type, std::uint64_t offset,
                  std::uint64_t length) {
  append_be32(out, 0x21e41c71);
  append_be16(out, flags);
  append_be16(out, type);
  append_be64(out, 0x1111);
  append_be64(out, offset);
  append_be64(out, length);
  if (type == kWrite || (flags & 0x20) != 0) out.resize(out.size() + length, std::byte{0x25});
}

// What QEMU 7.2 says to a server: fixed newstyle, structured replies, meta context, go.
ByteVector greeting() {
  ByteVector out;
  append_be32(out, 3);
  put_option(out, 8, "");
  put_option(out, 10, "some meta context");
  put_option(out, 7, "disk0 and what is asked of it");
  return out;
}

std::vector<Page> pages(ByteView bytes) {
  NbdStream stream;
  const auto reading = read_whole(stream, bytes);
  EXPECT_TRUE(reading.keeps_rules);
  return pages_of(reading);
}

TEST(NbdStream, WholePagesOfTheDiskThatAreWrittenArePages) {
  auto bytes = greeting();
  put_request(bytes, kWrite, 0x5000, 0x3000);
  const auto at = greeting().size() + kRequestBytes;
  EXPECT_THAT(pages(bytes), ::testing::ElementsAre(Page{at, 4096, kDisk | 5}, Page{at + 4096, 4096, kDisk | 6},
                                                   Page{at + 8192, 4096, kDisk | 7}));
}

TEST(NbdStream, AnUnalignedWriteHasPagesWhereTheDiskHas) {
  auto bytes = greeting();
  put_request(bytes, kWrite, 0x5200, 0x1000);                  // none is whole
  put_request(bytes, kWrite, 0x5200, 0xe00 + 0x1000 + 0x200);  // one is
  const auto at = greeting().size() + kRequestBytes + 0x1000 + kRequestBytes + 0xe00;
  EXPECT_THAT(pages(bytes), ::testing::ElementsAre(Page{at, 4096, kDisk | 6}));
}

TEST(NbdStream, OtherRequestsHaveNoContent) {
  auto bytes = greeting();
  for (const auto type : {kRead, kFlush, kTrim, kCache, kWriteZeroes, kBlockStatus}) {
    put_request(bytes, type, 0x1000, 0x10000);
  }
  const auto at = bytes.size() + kRequestBytes;
  put_request(bytes, kWrite, 0, 0x1000);
  put_request(bytes, kDisconnect, 0, 0);
  EXPECT_THAT(pages(bytes), ::testing::ElementsAre(Page{at, 4096, kDisk}));
}

TEST(NbdStream, ExtendedRequestsSayWhetherTheyHaveContent) {
  auto bytes = greeting();
  put_extended(bytes, 0, kWriteZeroes, 0, 1ULL << 40U);
  put_extended(bytes, 0x20, kBlockStatus, 0, 5000);
  put_extended(bytes, 0x20, kWrite, 0x1'0000'0000, 0x1000);
  EXPECT_THAT(pages(bytes), ::testing::ElementsAre(Page{bytes.size() - 4096, 4096, kDisk | 0x10'0000}));
}

TEST(NbdStream, WhatIsNotUnderstoodIsNothingElseForGood) {
  auto bytes = greeting();
  put_request(bytes, 8, 0, 0);
  put_request(bytes, kWrite, 0, 0x1000);
  EXPECT_THAT(pages(bytes), ::testing::IsEmpty());
  bytes = greeting();
  put_option(bytes, 5, "");
  append(bytes, as_bytes("\x16\x03\x01 TLS"));
  put_request(bytes, kWrite, 0, 0x1000);
  EXPECT_THAT(pages(bytes), ::testing::IsEmpty());
}

TEST(NbdStream, ASessionHasTheSamePagesHoweverItIsCutOrChanged) {
  std::mt19937_64 random(3);
  auto original = greeting();
  for (int i = 0; i < 40; ++i) {
    put_request(original, static_cast<std::uint16_t>(random() % 8), random() % 0x10000,
                static_cast<std::uint32_t>(random() % 0x5000));
  }
  for (int run = 0; run < 300; ++run) {
    auto bytes = original;
    for (int change = 0; change < run % 4; ++change) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    NbdStream stream;
    const std::size_t most = 1 + random() % 6000;
    const auto reading = read_in_pieces(stream, bytes, [&] { return 1 + random() % most; });
    EXPECT_TRUE(reading.keeps_rules);
    EXPECT_EQ(pages_of(reading), pages(bytes));
  }
}

}  // namespace
}  // namespace godwit::wire
