#include "overlay/udp_train.h"

#include "overlay/offload.h"
#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr sys::Offload kPartial{true, 0, 0, 0, 34, 6};

ByteVector udp_frame(std::string_view text, unsigned from = 0) {
  auto out = guest_frame(from, 1, text);
  store_be16(ByteSpan(out).subspan(20), 0x4000);
  store_be16(ByteSpan(out).subspan(38), static_cast<std::uint16_t>(8 + text.size()));
  return out;
}

class UdpTrainTest : public ::testing::Test {
 protected:
  bool add(const ByteVector& frame, const sys::Offload& offload = kPartial) {
    return train_.add(packet_, frame, offload, memory_);
  }
  std::string payload() const { return std::string(as_text(packet_.bytes.subspan(42))); }
  static std::uint16_t sum(ByteView bytes) {
    std::uint32_t out = 0;
    for (std::size_t at = 0; at + 1 < bytes.size(); at += 2) out += load_be16(bytes.subspan(at));
    while (out > 0xffff) out = (out & 0xffffU) + (out >> 16U);
    return static_cast<std::uint16_t>(out);
  }

  BatchMemory memory_{1U << 20U};
  UdpTrain train_;
  ByteVector first_ = udp_frame("one ");
  sys::OutPacket packet_{1, {}, first_, kPartial, 0};
};

TEST_F(UdpTrainTest, FramesOfOneFlowBecomeOneSuperFrameWhichPassesAsHonest) {
  EXPECT_TRUE(add(udp_frame("two ")));
  EXPECT_TRUE(add(udp_frame("3rd ")));
  EXPECT_TRUE(add(udp_frame("end")));
  EXPECT_EQ(payload(), "one two 3rd end");
  EXPECT_EQ(packet_.offload, (sys::Offload{true, 5, 42, 4, 34, 6}));
  auto offload = packet_.offload;
  EXPECT_EQ(check(offload, packet_.bytes, 1514), std::nullopt);
  EXPECT_EQ(frames_of(offload, packet_.bytes), 4U);
  const auto ip = packet_.bytes.subspan(14);
  EXPECT_EQ(load_be16(ip.subspan(2)), ip.size());
  EXPECT_EQ(sum(ip.first(20)), 0xffff);
  EXPECT_EQ(load_be16(ip.subspan(24)), ip.size() - 20);
  ByteVector pseudo(ip.begin() + 12, ip.begin() + 20);
  append_be16(pseudo, 17);
  append_be16(pseudo, static_cast<std::uint16_t>(ip.size() - 20));
  EXPECT_EQ(load_be16(ip.subspan(26)), sum(pseudo));
  EXPECT_FALSE(add(udp_frame("more")));  // behind a shorter one
}

TEST_F(UdpTrainTest, WhatDiffersGoesAlone) {
  EXPECT_FALSE(add(udp_frame("longer")));
  EXPECT_FALSE(add(udp_frame("two ", 2)));
  EXPECT_FALSE(add(udp_frame("two "), {}));  // a checksum that somebody has yet to verify
  auto fragment = udp_frame("two ");
  fragment[20] = std::byte{0x20};
  EXPECT_FALSE(add(fragment));
  auto lies = udp_frame("two ");
  lies[39] = std::byte{0xff};
  EXPECT_FALSE(add(lies));
  auto other_ttl = udp_frame("two ");
  other_ttl[22] = std::byte{9};
  EXPECT_FALSE(add(other_ttl));
  auto tcp = udp_frame("two ");
  tcp[23] = std::byte{6};
  EXPECT_FALSE(add(tcp));
  EXPECT_FALSE(add(ByteVector(14)));
  EXPECT_EQ(payload(), "one ");
  EXPECT_EQ(packet_.bytes.data(), first_.data());
}

TEST_F(UdpTrainTest, IsNoLongerThanAKernelCuts) {
  std::size_t added = 1;
  while (add(udp_frame("more"))) ++added;
  EXPECT_EQ(added, UdpTrain::kMostFrames);
  first_ = udp_frame(std::string(1400, 'x'));
  packet_ = {1, {}, first_, kPartial, 0};
  while (add(first_)) {
  }
  EXPECT_LE(packet_.bytes.size(), 65'535U + 14);
}

}  // namespace
}  // namespace godwit::overlay::testing
