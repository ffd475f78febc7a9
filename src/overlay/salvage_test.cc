#include "overlay/salvage.h"

#include "overlay/assembler.h"
#include "overlay/headers.h"
#include "overlay/offload.h"
#include "overlay/slicer.h"
#include "overlay/test_host.h"
#include "overlay/test_super_frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace godwit::overlay::testing {
namespace {

constexpr std::size_t kDatagram = 1452;
// Which bytes of `whole`'s payload a part carries, by what its headers say; they, and the payload, are checked.
std::pair<std::size_t, std::size_t> range_of(const Super& whole, bool ipv4, bool tcp, const Record& part) {
  auto offload = part.header.offload;
  EXPECT_FALSE(check(offload, part.payload, 1514).has_value());
  const ByteView ip = ByteView(part.payload).subspan(14);
  const std::size_t ip_header = ipv4 ? 20 : 40;
  const auto transport = ip.subspan(ip_header);
  if (ipv4) {
    EXPECT_EQ(load_be16(ip.subspan(2)), ip.size());
    EXPECT_EQ(checksum_of(ip.first(20)), 0xffff);
  } else {
    EXPECT_EQ(load_be16(ip.subspan(4)), ip.size() - 40);
  }
  EXPECT_EQ(load_be16(transport.subspan(tcp ? kTcpChecksumAt : kUdpChecksumAt)),
            pseudo_sum(ip, ipv4, tcp, transport.size()));
  const auto payload = ByteView(part.payload).subspan(whole.headers);
  std::size_t from = 0;
  if (tcp) {
    from = load_be32(transport.subspan(4)) - kSequence;
    const auto flags = std::to_integer<unsigned>(transport[13]);
    const bool last = from + payload.size() == whole.frame.size() - whole.headers;
    EXPECT_EQ(flags, 0x10U | (from == 0 ? 0x80U : 0U) | (last ? 0x09U : 0U));
  } else {
    EXPECT_EQ(load_be16(transport.subspan(4)), transport.size());
    // UDP has no sequence: the payload tells, which repeats after 65536 bytes.
    while (from + payload.size() <= whole.frame.size() - whole.headers &&
           !std::ranges::equal(payload, ByteView(whole.frame).subspan(whole.headers + from, payload.size()))) {
      from += kSegment;
    }
  }
  EXPECT_LE(from + payload.size(), whole.frame.size() - whole.headers);
  EXPECT_TRUE(std::ranges::equal(payload, ByteView(whole.frame).subspan(whole.headers + from, payload.size())));
  if (ipv4) {
    EXPECT_EQ(load_be16(ip.subspan(4)), 7 + from / kSegment);
  }
  return {from, from + payload.size()};
}

// Slices of one super-frame after another, of which some are lost; what comes out.
class Lossy {
 public:
  std::vector<ByteVector> slices_of(const Super& super) {
    EXPECT_TRUE(slicer_.append(super.header, super.frame));
    slicer_.finish();
    std::vector<ByteVector> out;
    for (const auto& run : slicer_.runs()) {
      for (auto rest = run.bytes(); !rest.empty();) {
        const auto datagram = rest.first(std::min(kDatagram, rest.size()));
        const auto slice = datagram.subspan(kSealHeader, datagram.size() - kSealHeader - kSealTag);
        out.emplace_back(slice.begin(), slice.end());
        rest = rest.subspan(datagram.size());
      }
    }
    slicer_.clear();
    memory_.clear();
    return out;
  }
  void deliver(std::uint64_t counter, ByteVector slice) {
    std::vector<Record> records;
    EXPECT_TRUE(assembler.on_slice(now, 1, counter, slice, records));
    take(records);
  }
  void wait(Nanos time) {
    now += time;
    std::vector<Record> records;
    assembler.poll(now, records);
    take(records);
  }
  std::vector<std::pair<RecordHeader, ByteVector>> take_all() { return std::exchange(got_, {}); }

  TimePoint now{Seconds(1)};

 private:
  void take(const std::vector<Record>& records) {
    for (const auto& each : records)
      got_.emplace_back(each.header, ByteVector(each.payload.begin(), each.payload.end()));
    buffers_.end_batch();
  }
  BatchMemory memory_{4U << 20U};
  Slicer slicer_{memory_, kDatagram};
  JoinBuffers buffers_;
  std::vector<std::pair<RecordHeader, ByteVector>> got_;

 public:
  Assembler assembler{buffers_};
};

// Which bytes of the payload each slice carries: of slice i those from edges[i] to edges[i + 1].
std::vector<std::size_t> edges_of(const Super& super, const std::vector<ByteVector>& slices) {
  std::vector<std::size_t> out{0};
  std::size_t at = slices[0].size() - kSliceHeader - kLongestRecordHeader;
  for (std::size_t i = 1; i < slices.size(); ++i) {
    out.push_back(at - super.headers);
    at += load_be16(slices[i]);
  }
  out.push_back(super.frame.size() - super.headers);
  return out;
}

class Salvage : public ::testing::TestWithParam<std::tuple<bool, bool>> {};

TEST_P(Salvage, ALostDatagramCostsTheSegmentsThatItCarriedAPartOf) {
  const auto [ipv4, tcp] = GetParam();
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    Lossy lossy;
    std::uint64_t counter = seed % 3;
    // The session has seen a whole frame before, so that it knows how long slices are.
    for (auto& slice : lossy.slices_of(super_frame(ipv4, tcp, 20'000))) lossy.deliver(counter++, std::move(slice));
    ASSERT_EQ(lossy.take_all().size(), 1U);

    const auto super = super_frame(ipv4, tcp, 4'000 + random.below(60'000));
    auto slices = lossy.slices_of(super);
    const auto edges = edges_of(super, slices);
    std::vector<bool> lost(slices.size());
    for (std::size_t i = 1; i < lost.size(); ++i) lost[i] = random.below(6) == 0;  // without the first nothing is left
    for (std::size_t i = 0; i < slices.size(); ++i) {
      if (!lost[i]) lossy.deliver(counter + i, slices[i]);
    }
    for (int i = 0; i < 40; ++i) lossy.wait(kReorderedTime);

    std::vector<int> seen(edges.back());
    for (const auto& [header, payload] : lossy.take_all()) {
      auto bytes = payload;
      const auto [from, until] = range_of(super, ipv4, tcp, {header, bytes});
      for (auto i = from; i < until && i < seen.size(); ++i) ++seen[i];
    }
    std::vector<bool> arrived(edges.back());
    for (std::size_t i = 0; i < slices.size(); ++i) {
      std::fill(arrived.begin() + static_cast<std::ptrdiff_t>(edges[i]),
                arrived.begin() + static_cast<std::ptrdiff_t>(edges[i + 1]), !lost[i]);
    }
    for (std::size_t at = 0; at < seen.size(); at += kSegment) {
      const auto until = std::min(at + kSegment, seen.size());
      const bool whole = std::all_of(arrived.begin() + static_cast<std::ptrdiff_t>(at),
                                     arrived.begin() + static_cast<std::ptrdiff_t>(until), std::identity());
      for (auto i = at; i < until; ++i) ASSERT_EQ(seen[i], whole ? 1 : 0) << "byte " << i;
    }
  }
}

TEST_P(Salvage, WhatIsOnlyLateIsNotCut) {
  const auto [ipv4, tcp] = GetParam();
  Lossy lossy;
  const auto super = super_frame(ipv4, tcp, 60'000);
  auto slices = lossy.slices_of(super);
  std::swap(slices[3], slices[12]);
  for (std::size_t i = 0; i < slices.size(); ++i) lossy.deliver(i == 3 ? 12 : i == 12 ? 3 : i, slices[i]);
  const auto got = lossy.take_all();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].second, super.frame);
  EXPECT_EQ(got[0].first, super.header);
  EXPECT_FALSE(lossy.assembler.deadline().has_value());
}

TEST_P(Salvage, OnASlowLinkThatStallsNothingIsKeptBackOrLost) {
  const auto [ipv4, tcp] = GetParam();
  Lossy lossy;
  const auto super = super_frame(ipv4, tcp, 60'000);
  const auto slices = lossy.slices_of(super);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    lossy.deliver(i, slices[i]);
    lossy.wait(kSlowTime);
    for (const auto& [header, payload] : lossy.take_all()) {
      auto part = payload;
      const auto [from, until] = range_of(super, ipv4, tcp, {header, part});
      EXPECT_EQ(from, bytes);
      bytes = until;
    }
    if (i + 1 == slices.size() / 2) {
      EXPECT_GT(bytes, 20'000U);
    }
  }
  EXPECT_EQ(bytes, super.frame.size() - super.headers);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Salvage, ::testing::Combine(::testing::Bool(), ::testing::Bool()),
                         [](const auto& kind) {
                           return std::string(std::get<1>(kind.param) ? "Tcp" : "Udp") +
                                  (std::get<0>(kind.param) ? "4" : "6");
                         });

TEST(SalvageOf, AnyBytesStaysInsideThem) {
  SeededRandom random(1);
  for (int i = 0; i < 20'000; ++i) {
    auto super = super_frame(random.below(2) == 0, random.below(2) == 0, 3000);
    ByteVector headers(super.frame.begin(),
                       super.frame.begin() + static_cast<std::ptrdiff_t>(random.below(kMostHeaders + 1)));
    for (auto& each : headers) {
      if (random.below(20) == 0) each = static_cast<std::byte>(random.below(256));
    }
    super.header.size = random.below(70'000);
    super.header.offload.gso = static_cast<std::uint8_t>(random.below(256));
    super.header.offload.segment_bytes = static_cast<std::uint16_t>(random.below(3) == 0 ? 0 : random.below(65'536));
    const auto from = random.below(70'000);
    const auto size = random.below(70'000);
    const auto part = salvage(super.header, headers, from, size);
    if (!part) continue;
    EXPECT_GE(part->from, from);
    EXPECT_LE(part->from + part->size, std::min<std::size_t>(from + size, super.header.size));
  }
}

}  // namespace
}  // namespace godwit::overlay::testing
