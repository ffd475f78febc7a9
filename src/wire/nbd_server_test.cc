#include "wire/nbd_server.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace godwit::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kDisk_bytes = 0x40000000;
constexpr std::uint16_t kRead = 0;
constexpr std::uint16_t kWrite = 1;
constexpr std::uint16_t kDisconnect = 2;
constexpr std::uint16_t kFlush = 3;
constexpr std::uint16_t kTrim = 4;
constexpr std::uint16_t kWriteZeroes = 6;
constexpr std::uint16_t kBlockStatus = 7;

void put_option(ByteVector& out, std::uint32_t option, ByteView data) {
  append(out, as_bytes("IHAVEOPT"));
  append_be32(out, option);
  append_be32(out, static_cast<std::uint32_t>(data.size()));
  append(out, data);
}

ByteVector go_data(std::string_view name) {
  ByteVector data;
  append_be32(data, static_cast<std::uint32_t>(name.size()));
  append(data, as_bytes(name));
  append_be16(data, 1);
  append_be16(data, 3);
  return data;
}

void put_request(ByteVector& out, std::uint16_t type, std::uint64_t offset, std::uint32_t length,
                 std::uint64_t cookie = 7) {
  append_be32(out, 0x25609513);
  append_be16(out, 0);
  append_be16(out, type);
  append_be64(out, cookie);
  append_be64(out, offset);
  append_be32(out, length);
  if (type == kWrite) out.resize(out.size() + length, std::byte{0x25});
}

// As QEMU 7.2 does: fixed newstyle, structured replies, go.
ByteVector begun() {
  ByteVector out;
  append_be32(out, 3);
  put_option(out, 8, {});
  put_option(out, 7, go_data("base"));
  return out;
}

struct Heard {
  std::vector<NbdRead> reads;
  ByteVector answers;
  std::optional<Errc> ended;
};

Heard hear(ByteView bytes, std::size_t part = 4096) {
  NbdServer server("base", kDisk_bytes);
  Heard heard;
  while (!bytes.empty() && !heard.ended) {
    auto piece = bytes.first(std::min(part, bytes.size()));
    bytes = bytes.subspan(piece.size());
    while (!piece.empty() && !heard.ended) {
      const auto read = server.next(piece);
      if (!read) heard.ended = read.error().code;
      if (read && *read) heard.reads.push_back(**read);
    }
  }
  heard.answers = server.take_answers();
  return heard;
}

// What is said behind `before`, for `bytes` behind it.
std::string answers_behind(const ByteVector& before, ByteView bytes) {
  auto all = before;
  append(all, bytes);
  return to_hex(ByteView(hear(all).answers).subspan(hear(before).answers.size()));
}

TEST(NbdServer, TellsQemuWhatTheDiskIs) {
  const auto heard = hear(begun());
  EXPECT_EQ(to_hex(heard.answers),
            "4e42444d4147494349484156454f50540003"  // NBDMAGIC IHAVEOPT, fixed newstyle and no zeroes
            "0003e889045565a9000000088000000100000000"
            "0003e889045565a900000007000000030000000c000000000000400000000103"
            "0003e889045565a900000007000000030000000e0003000000010001000000100000"
            "0003e889045565a9000000070000000100000000");
  EXPECT_THAT(heard.reads, IsEmpty());
}

TEST(NbdServer, TellsAReadHoweverItsBytesCome) {
  auto bytes = begun();
  put_request(bytes, kRead, 4096, 512, 11);
  put_request(bytes, kWrite, 0, 9000, 12);
  put_request(bytes, kRead, kDisk_bytes - 1, 1, 13);
  for (const std::size_t part : {1UL, 3UL, 17UL, 4096UL, 100'000UL}) {
    EXPECT_THAT(hear(bytes, part).reads, ElementsAre(NbdRead{11, 4096, 512}, NbdRead{13, kDisk_bytes - 1, 1}));
  }
}

TEST(NbdServer, ChangesNothing) {
  for (const auto type : {kWrite, kTrim, kWriteZeroes}) {
    ByteVector asked;
    put_request(asked, type, 0, 4096);
    EXPECT_EQ(answers_behind(begun(), asked), "67446698000000010000000000000007");  // EPERM
  }
}

TEST(NbdServer, WhatIsNotOnTheDiskIsRefusedAndTheNextReadIsServed) {
  const std::pair<std::uint64_t, std::uint32_t> unfair[] = {
      {kDisk_bytes, 1}, {kDisk_bytes - 1, 2}, {~0ULL, 4096}, {0, kNbdRead_bytes + 1}, {0, ~0U}, {0, 0}};
  for (const auto& [offset, length] : unfair) {
    auto bytes = begun();
    put_request(bytes, kRead, offset, length);
    put_request(bytes, kRead, 0, 512, 8);
    const auto heard = hear(bytes);
    EXPECT_THAT(heard.reads, ElementsAre(NbdRead{8, 0, 512})) << offset << " " << length;
    EXPECT_EQ(to_hex(ByteView(heard.answers).last(16)), "67446698000000160000000000000007");  // EINVAL
  }
  ByteVector asked;
  put_request(asked, kBlockStatus, 0, 4096);
  EXPECT_EQ(answers_behind(begun(), asked), "67446698000000160000000000000007");
  asked.clear();
  put_request(asked, kFlush, 0, 0);
  EXPECT_EQ(answers_behind(begun(), asked), "67446698000000000000000000000007");
}

TEST(NbdServer, AnOldClientGetsTheExportByItsName) {
  ByteVector flags;
  append_be32(flags, 1);
  ByteVector asked;
  put_option(asked, 1, as_bytes("base"));
  EXPECT_EQ(answers_behind(flags, asked), "00000000400000000103" + std::string(248, '0'));
  put_request(asked, kRead, 0, 1);
  append(flags, asked);
  EXPECT_THAT(hear(flags).reads, ElementsAre(NbdRead{7, 0, 1}));
}

TEST(NbdServer, TellsItsOneExportAndNoOther) {
  ByteVector flags;
  append_be32(flags, 3);
  ByteVector asked;
  put_option(asked, 3, {});
  EXPECT_EQ(answers_behind(flags, asked),
            "0003e889045565a9000000030000000200000008"
            "0000000462617365"
            "0003e889045565a9000000030000000100000000");
  asked.clear();
  put_option(asked, 7, go_data("other"));
  EXPECT_EQ(answers_behind(flags, asked), "0003e889045565a9000000078000000600000000");
}

TEST(NbdServer, AHostileClientIsEndedOrRefusedAtABound) {
  ByteVector flags;
  append_be32(flags, 3);
  auto bytes = flags;
  for (std::size_t i = 0; i <= kNbdOptions; ++i) put_option(bytes, 99, {});
  EXPECT_EQ(hear(bytes).ended, Errc::protocol);

  ByteVector asked;
  put_option(asked, 7, ByteVector(kNbdOption_bytes + 100));
  EXPECT_EQ(answers_behind(flags, asked), "0003e889045565a9000000078000000900000000");
  asked.clear();
  put_option(asked, 7, as_bytes("short"));
  EXPECT_EQ(answers_behind(flags, asked), "0003e889045565a9000000078000000300000000");

  bytes.clear();
  append_be32(bytes, 0x80);
  EXPECT_EQ(hear(bytes).ended, Errc::protocol);
  bytes = flags;
  append(bytes, as_bytes("IHAVENOT00000000"));
  EXPECT_EQ(hear(bytes).ended, Errc::protocol);
  bytes = begun();
  bytes.resize(bytes.size() + 28);
  EXPECT_EQ(hear(bytes).ended, Errc::protocol);
  bytes = begun();
  put_request(bytes, kDisconnect, 0, 0);
  EXPECT_EQ(hear(bytes).ended, Errc::closed);
}

}  // namespace
}  // namespace godwit::wire
