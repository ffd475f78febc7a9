#include "overlay/slicer.h"

#include "overlay/assembler.h"
#include "overlay/test_host.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace godwit::overlay::testing {
namespace {

constexpr std::size_t kDatagram = 1452;

ByteVector drawn_bytes(SeededRandom& random, std::size_t size) {
  ByteVector out(size);
  random.fill(out);
  return out;
}

RecordHeader frame_header(std::size_t size) { return {RecordKind::frame, 1, 0x123456, size, {}}; }

struct Slice {
  std::uint64_t counter{0};
  ByteVector bytes;
};

// What a batch becomes, as sessions would number it.
std::vector<Slice> slices_of(const Slicer& slicer, std::uint64_t& counter) {
  std::vector<Slice> out;
  for (const auto& run : slicer.runs()) {
    for (auto rest = run.bytes(); !rest.empty();) {
      const auto datagram = rest.first(std::min(slicer.datagram_bytes(), rest.size()));
      const auto slice = datagram.subspan(kSealHeader, datagram.size() - kSealOverhead);
      out.push_back({counter++, {slice.begin(), slice.end()}});
      rest = rest.subspan(datagram.size());
    }
  }
  return out;
}

// One direction between two hosts.
class Pipe {
 public:
  explicit Pipe(std::uint64_t seed) : random(seed) {}

  void put(const ByteVector& payload) {
    EXPECT_TRUE(slicer_.append(frame_header(payload.size()), payload));
    sent.push_back(payload);
  }
  std::vector<Slice> end_batch() {
    slicer_.finish();
    auto out = slices_of(slicer_, counter_);
    slicer_.clear();
    memory_.clear();
    return out;
  }
  void deliver(const Slice& slice) {
    ByteVector bytes = slice.bytes;
    std::vector<Record> records;
    EXPECT_TRUE(assembler.on_slice(1, slice.counter, bytes, records));
    for (const auto& each : records) got.emplace_back(each.payload.begin(), each.payload.end());
    buffers_.end_batch();
  }

  SeededRandom random;
  std::vector<ByteVector> sent;
  std::vector<ByteVector> got;

 private:
  BatchMemory memory_{4U << 20U};
  Slicer slicer_{memory_, kDatagram};
  std::uint64_t counter_{0};
  JoinBuffers buffers_;

 public:
  Assembler assembler{buffers_};
};

// These bytes are docs/protocols/overlay.md: a change of them is a new version of the protocol.
TEST(Slice, IsTheseBytes) {
  BatchMemory memory(8192);
  Slicer slicer(memory, kDatagram);
  const auto small = *from_hex("aabbcc");
  const sys::Offload offload{true, 0x81, 54, 1448, 34, 16};
  ASSERT_TRUE(slicer.append({RecordKind::frame, 2, 0x123456, 3, {}}, small));
  ASSERT_TRUE(slicer.append({RecordKind::super_frame, 0, 7, 2, offload}, ByteView(small).first(2)));
  ASSERT_TRUE(slicer.append({RecordKind::control, 0, 7, 1, {}}, ByteView(small).first(1)));
  slicer.finish();
  std::uint64_t counter = 0;
  const auto slices = slices_of(slicer, counter);
  ASSERT_EQ(slices.size(), 1U);
  EXPECT_EQ(to_hex(slices[0].bytes),
            "0000"                                          // nothing of an earlier record
            "01000003" "12345602" "aabbcc"                  // frame of 3 bytes, vni, hops
            "02000002" "00000700" "0181003605a800220010" "aabb"  // super-frame and its offload
            "03000001" "00000700" "aa");                    // control
}

TEST(Slice, ALongRecordGoesOnInTheNextOneWhichSaysHowMuchOfItIsThere) {
  BatchMemory memory(8192);
  Slicer slicer(memory, kDatagram);
  const ByteVector frame(1514, std::byte{7});
  ASSERT_TRUE(slicer.append(frame_header(frame.size()), frame));
  slicer.finish();
  std::uint64_t counter = 0;
  const auto slices = slices_of(slicer, counter);
  ASSERT_EQ(slices.size(), 2U);
  EXPECT_EQ(slices[0].bytes.size() + kSealOverhead, kDatagram);
  EXPECT_EQ(load_be16(slices[1].bytes), 1514 + kRecordHeader + kSliceHeader - slices[0].bytes.size());
  EXPECT_EQ(slices[1].bytes.size(), kSliceHeader + load_be16(slices[1].bytes));
}

TEST(Slice, NoRunIsLongerThanOneSendmsgTakesAndOnlyItsLastDatagramIsShorter) {
  BatchMemory memory(1U << 20U);
  Slicer slicer(memory, kDatagram);
  const ByteVector frame(60'000, std::byte{7});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(slicer.append(frame_header(frame.size()), frame));
  slicer.finish();
  for (const auto& run : slicer.runs()) {
    EXPECT_LE(run.size, sys::kMostSegmentBytes);
    EXPECT_LE(run.size, sys::kMostSegments * kDatagram);
    EXPECT_TRUE(&run == &slicer.runs().back() || run.size % kDatagram == 0);
  }
}

TEST(Slice, WhatLayInTheMemoryBeforeNeverGoesOut) {
  BatchMemory memory(8192);
  const auto dirty = memory.take(8192);
  std::fill(dirty.begin(), dirty.end(), std::byte{0xee});
  memory.clear();
  Slicer slicer(memory, kDatagram);
  const ByteVector first(1300, std::byte{1});
  const ByteVector second(300, std::byte{1});
  ASSERT_TRUE(slicer.append(frame_header(first.size()), first));
  ASSERT_TRUE(slicer.append(frame_header(second.size()), second));
  slicer.finish();
  std::uint64_t counter = 0;
  for (const auto& slice : slices_of(slicer, counter)) {
    EXPECT_EQ(std::count(slice.bytes.begin(), slice.bytes.end(), std::byte{0xee}), 0);
  }
}

TEST(Slice, WithoutMemoryForAllOfARecordNothingOfItIsSent) {
  BatchMemory memory(3 * kDatagram);
  Slicer slicer(memory, kDatagram);
  const ByteVector frame(5000, std::byte{7});
  EXPECT_FALSE(slicer.append(frame_header(frame.size()), frame));
  slicer.finish();
  EXPECT_TRUE(slicer.runs().empty());
}

TEST(Records, ArriveAsTheyWereSent) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Pipe pipe(seed);
    for (int batch = 0; batch < 20; ++batch) {
      for (auto count = pipe.random.below(30); count > 0; --count) {
        const std::size_t limit = pipe.random.below(4) == 0 ? 65'000 : 2'000;
        pipe.put(drawn_bytes(pipe.random, pipe.random.below(limit)));
      }
      for (const auto& slice : pipe.end_batch()) pipe.deliver(slice);
    }
    EXPECT_EQ(pipe.got, pipe.sent);
    EXPECT_EQ(pipe.assembler.kept_bytes(), 0U);
  }
}

TEST(Records, ThatComeInAnyOrderWithinTheWindowAllArrive) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Pipe pipe(seed);
    std::deque<Slice> waiting;
    for (int batch = 0; batch < 20; ++batch) {
      for (int i = 0; i < 8; ++i) pipe.put(drawn_bytes(pipe.random, 100 + pipe.random.below(3'000)));
      for (auto& slice : pipe.end_batch()) waiting.push_back(std::move(slice));
      while (waiting.size() > 12) {  // each is late by at most 12
        const auto at = waiting.begin() + static_cast<std::ptrdiff_t>(pipe.random.below(4));
        pipe.deliver(*at);
        waiting.erase(at);
      }
    }
    for (const auto& slice : waiting) pipe.deliver(slice);
    std::sort(pipe.got.begin(), pipe.got.end());
    std::sort(pipe.sent.begin(), pipe.sent.end());
    EXPECT_EQ(pipe.got, pipe.sent);
  }
}

TEST(Records, ALostDatagramCostsThoseThatItCarriedAndNoOthers) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Pipe pipe(seed);
    for (int i = 0; i < 40; ++i) pipe.put(drawn_bytes(pipe.random, 1514));
    auto slices = pipe.end_batch();
    const auto lost = pipe.random.below(slices.size());
    for (std::size_t i = 0; i < slices.size(); ++i) {
      if (i != lost) pipe.deliver(slices[i]);
    }
    EXPECT_GE(pipe.got.size(), pipe.sent.size() - 2);  // a frame of 1514 bytes lies in two slices, a slice has parts of two
    for (const auto& each : pipe.got) EXPECT_NE(std::find(pipe.sent.begin(), pipe.sent.end(), each), pipe.sent.end());
  }
}

TEST(Records, LossAndReorderingNeverMakeARecordThatWasNotSent) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Pipe pipe(seed);
    std::vector<Slice> all;
    for (int batch = 0; batch < 10; ++batch) {
      for (int i = 0; i < 8; ++i) pipe.put(drawn_bytes(pipe.random, 16 + pipe.random.below(9'000)));
      for (auto& slice : pipe.end_batch()) all.push_back(std::move(slice));
    }
    while (!all.empty()) {
      const auto at = all.begin() + static_cast<std::ptrdiff_t>(pipe.random.below(std::min<std::size_t>(all.size(), 100)));
      if (pipe.random.below(5) != 0) pipe.deliver(*at);
      all.erase(at);
    }
    for (const auto& each : pipe.got) EXPECT_NE(std::find(pipe.sent.begin(), pipe.sent.end(), each), pipe.sent.end());
    EXPECT_LE(pipe.assembler.kept_bytes(), kMostOpenRecords * kRecordLimit + kMostEarlyBytes);
    pipe.assembler.sweep();
    pipe.assembler.sweep();
    EXPECT_EQ(pipe.assembler.kept_bytes(), 0U);
  }
}

TEST(Records, NeverGoOverFromOneSessionToTheNext) {
  Pipe pipe(1);
  pipe.put(drawn_bytes(pipe.random, 2'000));
  const auto slices = pipe.end_batch();
  JoinBuffers buffers;
  Assembler assembler(buffers);
  std::vector<Record> records;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    auto bytes = slices[i].bytes;
    EXPECT_TRUE(assembler.on_slice(static_cast<std::uint32_t>(i), slices[i].counter, bytes, records));
  }
  EXPECT_TRUE(records.empty());
}

TEST(Records, WhatNoSlicerWritesIsRefused) {
  JoinBuffers buffers;
  for (const auto* hex : {"", "00", "0005aa", "0000010000", "00000500000012345600", "0000ff00000112345600aa",
                          "0000" "01ffffff" "12345600" "aa", "0000" "0100ffff" "12345600" "aa",
                          "0000" "02000001" "12345600" "02010036" "05a80022" "0010" "aa"}) {
    Assembler assembler(buffers);
    std::vector<Record> records;
    auto bytes = *from_hex(hex);
    EXPECT_FALSE(assembler.on_slice(1, 1, bytes, records)) << hex;
    EXPECT_TRUE(records.empty());
  }
}

}  // namespace
}  // namespace godwit::overlay::testing
