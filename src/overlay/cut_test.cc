#include "overlay/cut.h"

#include "overlay/test_super_frame.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::overlay::testing {
namespace {

std::vector<ByteVector> frames_of_cut(ByteView frame, const sys::Offload& offload) {
  std::vector<ByteVector> out;
  cut(frame, offload, [&](ByteSpan one) { out.emplace_back(one.begin(), one.end()); });
  return out;
}

// The transport's checksum, pseudo-header and all, holds: the sum with it is all ones.
bool holds(ByteView frame, bool ipv4, bool tcp) {
  const auto ip = frame.subspan(14);
  ByteVector transport(ip.begin() + (ipv4 ? 20 : 40), ip.end());
  const auto length = transport.size();
  if (length % 2 != 0) transport.push_back(std::byte{0});
  const auto sum = std::uint32_t{checksum_of(transport)} + pseudo_sum(ip, ipv4, tcp, length);
  return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

TEST(Cut, ASuperFrameIsTheFramesThatADeviceWouldMakeOfIt) {
  for (const bool ipv4 : {true, false}) {
    for (const bool tcp : {true, false}) {
      for (const std::size_t payload : {kSegment * 3, kSegment * 2 + 1, std::size_t{1}}) {
        const auto whole = super_frame(ipv4, tcp, payload);
        const auto frames = frames_of_cut(whole.frame, whole.header.offload);
        ASSERT_EQ(frames.size(), (payload + kSegment - 1) / kSegment);
        ByteVector joined;
        for (const auto& frame : frames) {
          EXPECT_LE(frame.size(), whole.headers + kSegment);
          EXPECT_TRUE(holds(frame, ipv4, tcp)) << ipv4 << tcp << payload;
          joined.insert(joined.end(), frame.begin() + static_cast<std::ptrdiff_t>(whole.headers), frame.end());
        }
        EXPECT_TRUE(std::ranges::equal(joined, ByteView(whole.frame).subspan(whole.headers)));
      }
    }
  }
}

TEST(Cut, AFrameWhoseChecksumIsMissingGetsItAndAnotherIsLeftAlone) {
  auto whole = super_frame(true, true, 100);
  auto offload = whole.header.offload;
  offload.gso = 0;
  offload.segment_bytes = offload.header_bytes = 0;
  const auto frames = frames_of_cut(whole.frame, offload);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_TRUE(holds(frames[0], true, true));
  EXPECT_EQ(frames_of_cut(whole.frame, {})[0], whole.frame);
}

}  // namespace
}  // namespace godwit::overlay::testing
