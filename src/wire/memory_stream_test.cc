#include "wire/memory_stream.h"

#include "support/qemu_streams.h"
#include "support/stretch_rules.h"
#include "wire/memory_place.h"

#include <gmock/gmock.h>

#include <bit>
#include <random>

namespace godwit::wire {
namespace {

using testing::pages_of;
using testing::read_in_pieces;
using testing::read_whole;
using testing::Reading;
using enum StretchKind;

constexpr std::uint64_t kZero = 0x02;
constexpr std::uint64_t kMemSize = 0x04;
constexpr std::uint64_t kPage = 0x08;
constexpr std::uint64_t kEnd = 0x10;
constexpr std::uint64_t kContinue = 0x20;
constexpr std::uint64_t kXbzrle = 0x40;
constexpr std::uint64_t kHook = 0x80;
constexpr std::uint64_t kCompressed = 0x100;
constexpr std::uint64_t kMultifdFlush = 0x200;

// Writes a stream by hand.
class Script {
 public:
  Script& u8(std::uint64_t value) { return number(value, 1); }
  Script& u16(std::uint64_t value) { return number(value, 2); }
  Script& u32(std::uint64_t value) { return number(value, 4); }
  Script& u64(std::uint64_t value) { return number(value, 8); }
  Script& text(std::string_view value) {
    append(bytes_, as_bytes(value));
    return *this;
  }
  Script& name(std::string_view value) { return u8(value.size()).text(value); }
  Script& fill(std::size_t bytes, std::uint8_t value) {
    bytes_.insert(bytes_.end(), bytes, std::byte{value});
    return *this;
  }
  Script& page(std::uint8_t value) { return fill(kPage_bytes, value); }

  Script& header() { return u32(0x5145564d).u32(3); }
  Script& start_ram(std::uint32_t id) { return u8(1).u32(id).name("ram").u32(0).u32(4); }
  Script& part_ram(std::uint32_t id) { return u8(2).u32(id); }
  Script& footer(std::uint32_t id) { return u8(0x7e).u32(id); }
  Script& end() { return u64(kEnd); }

  [[nodiscard]] const ByteVector& bytes() const { return bytes_; }

 private:
  Script& number(std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) bytes_.push_back(static_cast<std::byte>(value >> (8 * i)));
    return *this;
  }

  ByteVector bytes_;
};

std::uint64_t place(std::string_view block, std::uint64_t offset) {
  return memory_place(memory_block(as_bytes(block)), offset);
}

Reading read(const Script& script) {
  MemoryStream stream;
  return read_whole(stream, script.bytes());
}

std::vector<std::uint64_t> places(const Reading& reading) {
  std::vector<std::uint64_t> out;
  for (const auto& page : pages_of(reading)) {
    if (page.size_bytes == kPage_bytes) out.push_back(page.place);
  }
  return out;
}

auto stretch(StretchKind kind, std::size_t size, std::uint64_t at = 0) {
  return ::testing::AllOf(::testing::Field(&Stretch::kind, kind), ::testing::Field(&Stretch::size_bytes, size),
                          ::testing::Field(&Stretch::place, at));
}

TEST(MemoryStream, ARecordIsItsCounterAndItsPage) {
  Script script;
  script.header().start_ram(2).u64(0x2000 | kPage).name("pc.ram").page(1).u64(0x3000 | kPage | kContinue).page(2);
  script.u64(0x4000 | kZero | kContinue).u8(0).end().footer(2);
  EXPECT_THAT(read(script).stretches,
              ::testing::ElementsAre(stretch(other, 8 + 17), stretch(counter, 8), stretch(other, 7),
                                     stretch(page, 4096, place("pc.ram", 0x2000)), stretch(counter, 8),
                                     stretch(page, 4096, place("pc.ram", 0x3000)), stretch(counter, 8),
                                     stretch(other, 1 + 8 + 5)));
}

TEST(MemoryStream, APlaceIsTheBlockByNameAndThePage) {
  EXPECT_NE(place("pc.ram", 0), place("pc.bios", 0));
  EXPECT_EQ(place("pc.ram", 0x5000), place("pc.ram", 0) + 5);
  for (const auto* block : {"pc.ram", "", "vga.vram"}) {
    EXPECT_NE(place(block, 0), 0U);
    EXPECT_EQ(place(block, ~0ULL) >> 63U, 0U);
  }
}

TEST(MemoryStream, EveryKindOfRecordIsPassed) {
  Script script;
  script.header().start_ram(7).u64(0x3000 | kMemSize).name("a").u64(0x1000).name("b").u64(0x2000);
  script.end().footer(7).part_ram(7);
  script.u64(kXbzrle).name("b").u8(1).u16(300).fill(300, 9);
  script.u64(0x1000 | kCompressed | kContinue).u32(700).fill(700, 8);
  script.u64(kHook).u64(kMultifdFlush);
  script.u64(0x1000 | kPage | kContinue).page(1);
  EXPECT_THAT(places(read(script)), ::testing::ElementsAre(place("b", 0x1000)));
}

TEST(MemoryStream, SizesMayHavePageSizesOrAddresses) {
  Script post_copy;
  post_copy.header().start_ram(1).u64(0x600000 | kMemSize);
  post_copy.name("huge").u64(0x200000).u64(0x200000).name("pc.ram").u64(0x400000).u64(0x200000);
  post_copy.u64(kPage).name("pc.ram").page(1);
  EXPECT_THAT(places(read(post_copy)), ::testing::ElementsAre(place("pc.ram", 0)));

  Script shared;
  shared.header().u8(7).u32(4).text("q35x").u8(5).name("configuration/capabilities").u32(1);
  shared.u32(1).name("x-ignore-shared").start_ram(1).u64(0x3000 | kMemSize);
  shared.name("a").u64(0x1000).u64(0xfffc0000).name("b").u64(0x2000).u64(0x1000);
  shared.u64(kPage).name("b").page(1);
  EXPECT_THAT(places(read(shared)), ::testing::ElementsAre(place("b", 0)));
}

TEST(MemoryStream, AfterAnOpaqueSectionItFindsMemoryAgain) {
  Script script;
  script.header().u8(4).u32(9).name("virtio-mem-early").u32(0).u32(1).fill(777, 3).footer(9);
  script.start_ram(2).u64(kPage).name("pc.ram").page(1).end().footer(2);
  script.u8(2).u32(3).fill(5000, 0x7e).footer(3).part_ram(2).u64(0x1000 | kPage | kContinue).page(1).end().footer(2);
  script.part_ram(2).u64(0x2000 | 0xc00).fill(100, 1).footer(2);  // flags that don't exist
  script.part_ram(2).u64(0x3000 | kPage | kContinue).page(1);
  EXPECT_THAT(places(read(script)),
              ::testing::ElementsAre(place("pc.ram", 0), place("pc.ram", 0x1000), place("pc.ram", 0x3000)));
}

TEST(MemoryStream, CommandsAndPackagesArePassed) {
  Script script;
  script.header().u8(8).u16(3).u16(16).fill(16, 1).start_ram(2).end().footer(2);
  script.u8(8).u16(7).u16(4).u32(3000).fill(3000, 2).u8(8).u16(5).u16(0);
  script.part_ram(2).u64(kPage).name("pc.ram").page(1);
  EXPECT_THAT(places(read(script)), ::testing::ElementsAre(place("pc.ram", 0)));
}

TEST(MemoryStream, WhatIsNoMigrationIsNothingElse) {
  Script script;
  script.text("GET / HTTP/1.1\r\n").fill(100'000, 0);
  EXPECT_THAT(read(script).stretches, ::testing::ElementsAre(stretch(other, 100'016)));
}

struct Recording {
  const char* name;
  // What QEMU counted, from the .json beside it; but for "compress", where it counts the last page of an idle thread
  // once more at each end of a section: as many pages as in the others.
  std::size_t pages;
  std::size_t zeros;
  std::size_t compressed;
};

class RecordedStream : public ::testing::TestWithParam<Recording> {};

TEST_P(RecordedStream, HasThePagesThatQemuCounted) {
  const auto bytes = testing::recorded_stream(GetParam().name);
  ASSERT_FALSE(bytes.empty());
  MemoryStream stream;
  const auto reading = read_whole(stream, bytes);
  EXPECT_TRUE(reading.keeps_rules);
  EXPECT_EQ(places(reading).size(), GetParam().pages);
  std::size_t counters = 0;
  std::size_t zeros = 0;
  std::size_t at = 0;
  for (const auto& stretch : reading.stretches) {
    if (stretch.kind == counter) {
      ++counters;
      zeros += load_be64(ByteView(bytes).subspan(at)) & kZero ? 1 : 0;
    }
    at += stretch.size_bytes;
  }
  EXPECT_EQ(zeros, GetParam().zeros);
  EXPECT_EQ(counters, GetParam().pages + GetParam().zeros + GetParam().compressed);
}

TEST_P(RecordedStream, HasTheSamePagesHoweverItIsCut) {
  const auto bytes = testing::recorded_stream(GetParam().name);
  MemoryStream whole;
  const auto wanted = pages_of(read_whole(whole, bytes));
  std::mt19937_64 random(7);
  for (const std::size_t most : {1U, 2U, 8U, 100U, 5000U, 70'000U}) {
    MemoryStream stream;
    const auto reading = read_in_pieces(stream, bytes, [&] { return 1 + random() % most; });
    EXPECT_TRUE(reading.keeps_rules);
    EXPECT_EQ(pages_of(reading), wanted);
  }
}

TEST_P(RecordedStream, IsCoveredWhateverIsChangedInIt) {
  const auto original = testing::recorded_stream(GetParam().name);
  ASSERT_FALSE(original.empty());
  std::mt19937_64 random(11);
  for (int run = 0; run < 100; ++run) {
    auto bytes = original;
    for (int change = 0; change < 5; ++change) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    const auto hole = static_cast<std::ptrdiff_t>(random() % bytes.size());
    bytes.erase(bytes.begin() + hole, bytes.begin() + std::min(hole + 50, static_cast<std::ptrdiff_t>(bytes.size())));
    MemoryStream whole;
    MemoryStream cut;
    const auto reading = read_whole(whole, bytes);
    const auto pieces = read_in_pieces(cut, bytes, [&] { return 1 + random() % 3000; });
    EXPECT_TRUE(reading.keeps_rules && pieces.keeps_rules);
    EXPECT_EQ(pages_of(pieces), pages_of(reading));
  }
}

INSTANTIATE_TEST_SUITE_P(OfQemu72, RecordedStream,
                         ::testing::Values(Recording{"single", 42, 568, 0}, Recording{"no-footers", 40, 570, 0},
                                           Recording{"ignore-shared", 42, 568, 0}, Recording{"compress", 4, 568, 38},
                                           Recording{"multifd-0", 0, 568, 0}, Recording{"post-copy-able", 42, 568, 0},
                                           Recording{"post-copy", 42, 568, 0}),
                         [](const auto& param) {
                           std::string name = param.param.name;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace godwit::wire
