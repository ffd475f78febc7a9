#include "wire/multifd_stream.h"

#include "support/qemu_streams.h"
#include "support/stretch_rules.h"
#include "wire/memory_place.h"
#include "wire/memory_reader.h"

#include <gmock/gmock.h>

#include <random>

namespace godwit::wire {
namespace {

using testing::pages_of;
using testing::read_in_pieces;
using testing::read_whole;

constexpr std::uint32_t kZstd = 2U << 1U;
constexpr std::uint32_t kDeviceState = 32U << 1U;

std::uint64_t place(std::string_view block, std::uint64_t offset) {
  return memory_place(memory_block(as_bytes(block)), offset);
}

struct Packet {
  std::uint32_t flags{0};
  std::uint32_t content_bytes{0};
  std::string block;
  std::vector<std::uint64_t> offsets{};
};

void put_name(ByteVector& out, std::string_view name) {
  append(out, as_bytes(name));
  out.resize(out.size() + 256 - name.size());
}

void put(ByteVector& out, const Packet& packet) {
  append_be32(out, 0x11223344);
  append_be32(out, 1);
  append_be32(out, packet.flags);
  append_be32(out, 128);
  append_be32(out, static_cast<std::uint32_t>(packet.offsets.size()));
  append_be32(out, packet.content_bytes);
  out.resize(out.size() + 8 + 32, std::byte{0});
  put_name(out, packet.block);
  auto offsets = packet.offsets;
  offsets.resize(128, 0xdead000);
  for (const auto offset : offsets) append_be64(out, offset);
  if (!packet.offsets.empty()) out.resize(out.size() + packet.content_bytes, std::byte{0x44});
}

void put_device(ByteVector& out, std::uint32_t content_bytes) {
  append_be32(out, 0x11223344);
  append_be32(out, 1);
  append_be32(out, kDeviceState);
  put_name(out, "0000:00:02.0/vfio");
  append_be32(out, 0);
  append_be32(out, content_bytes);
  out.resize(out.size() + content_bytes, std::byte{0x11});
}

ByteVector init() {
  ByteVector out;
  append_be32(out, 0x11223344);
  append_be32(out, 1);
  out.resize(64);
  return out;
}

std::vector<std::uint64_t> places(ByteView bytes) {
  const auto reader = read_memory();
  const auto reading = read_whole(*reader, bytes);
  EXPECT_TRUE(reading.keeps_rules);
  std::vector<std::uint64_t> out;
  for (const auto& page : pages_of(reading)) out.push_back(page.place);
  return out;
}

TEST(MultifdStream, APacketSaysWhichPagesFollow) {
  auto bytes = init();
  put(bytes, {.content_bytes = 2 * kPage_bytes, .block = "pc.ram", .offsets = {0x5000, 0x1000}});
  put(bytes, {.flags = 1, .content_bytes = 2 * kPage_bytes, .block = "pc.ram"});  // a stale size, as 7.2 leaves it
  put(bytes, {.content_bytes = kPage_bytes, .block = "vga.vram", .offsets = {0}});
  EXPECT_THAT(places(bytes),
              ::testing::ElementsAre(place("pc.ram", 0x5000), place("pc.ram", 0x1000), place("vga.vram", 0)));
}

TEST(MultifdStream, OnlyOffsetsInUseAreCounters) {
  auto bytes = init();
  put(bytes, {.content_bytes = 2 * kPage_bytes, .block = "pc.ram", .offsets = {0x5000, 0x6000}});
  store_be32(ByteSpan(bytes).subspan(64 + 32), 3);  // zero pages
  const auto reader = read_memory();
  EXPECT_EQ(std::ranges::count(read_whole(*reader, bytes).stretches, StretchKind::counter, &Stretch::kind), 5);
}

TEST(MultifdStream, WhatIsCompressedOrOfADeviceIsPassed) {
  auto bytes = init();
  put(bytes, {.flags = kZstd, .content_bytes = 1234, .block = "pc.ram", .offsets = {0x5000, 0x1000}});
  put_device(bytes, 777);
  put(bytes, {.content_bytes = kPage_bytes, .block = "pc.ram", .offsets = {0x7000}});
  EXPECT_THAT(places(bytes), ::testing::ElementsAre(place("pc.ram", 0x7000)));
}

TEST(MultifdStream, AnImpossiblePacketIsTheEndOfUnderstanding) {
  for (const std::uint32_t pages : {129U, 0xffffffffU}) {
    auto bytes = init();
    put(bytes, {.content_bytes = kPage_bytes, .block = "pc.ram", .offsets = {0x7000}});
    store_be32(ByteSpan(bytes).subspan(64 + 16), pages);
    put(bytes, {.content_bytes = kPage_bytes, .block = "pc.ram", .offsets = {0x7000}});
    EXPECT_THAT(places(bytes), ::testing::IsEmpty());
  }
}

TEST(MultifdStream, APageThatComesTwiceInARowIsOne) {
  auto bytes = init();
  put(bytes, {.content_bytes = 3 * kPage_bytes, .block = "pc.ram", .offsets = {0x7000, 0x7000, 0x8000}});
  EXPECT_THAT(places(bytes), ::testing::ElementsAre(place("pc.ram", 0x7000), place("pc.ram", 0x8000)));
}

TEST(MultifdStream, TheChannelsOfARecordingHaveThePagesThatQemuCounted) {
  std::vector<std::uint64_t> all;
  for (const auto* name : {"multifd-1", "multifd-2"}) {
    const auto bytes = testing::recorded_stream(name);
    ASSERT_FALSE(bytes.empty());
    std::ranges::copy(places(bytes), std::back_inserter(all));
  }
  EXPECT_EQ(all.size(), 42U);                                       // "normal" in multifd.json
  EXPECT_THAT(all, ::testing::Contains(place("pc.ram", 0x20000)));  // where the guest wrote
  EXPECT_THAT(places(testing::recorded_stream("multifd-zstd-1")), ::testing::IsEmpty());
}

TEST(MultifdStream, AChannelHasTheSamePagesHoweverItIsCutOrChanged) {
  std::mt19937_64 random(5);
  for (const auto* name : {"multifd-0", "multifd-1", "multifd-2", "multifd-zstd-1"}) {
    const auto original = testing::recorded_stream(name);
    ASSERT_FALSE(original.empty());
    for (int run = 0; run < 50; ++run) {
      auto bytes = original;
      for (int change = 0; change < run % 5; ++change)
        bytes[random() % std::size_t{4096}] = static_cast<std::byte>(random());
      const auto whole = read_memory();
      const auto cut = read_memory();
      const std::size_t most = 1 + random() % (run % 2 == 0 ? 7 : 6000);
      const auto reading = read_in_pieces(*cut, bytes, [&] { return 1 + random() % most; });
      EXPECT_TRUE(reading.keeps_rules);
      EXPECT_EQ(pages_of(reading), pages_of(read_whole(*whole, bytes)));
    }
  }
}

TEST(MemoryReader, AChannelWithoutMagicIsNothingElse) {
  const auto reader = read_memory();
  const ByteVector bytes(10'000, std::byte{1});
  const auto reading = read_in_pieces(*reader, bytes, [] { return 3; });
  EXPECT_TRUE(reading.keeps_rules);
  ASSERT_EQ(reading.stretches.size(), 1U);
  EXPECT_EQ(reading.stretches[0].size_bytes, bytes.size());
}

TEST(MemoryReader, TheMainChannelIsToldHoweverItIsCut) {
  const auto bytes = testing::recorded_stream("single");
  const auto reader = read_memory();
  EXPECT_EQ(pages_of(read_in_pieces(*reader, bytes, [] { return 3; })).size(), 42U);
}

}  // namespace
}  // namespace godwit::wire
