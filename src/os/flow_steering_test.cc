#include "os/flow_steering.h"

#include <gtest/gtest.h>

#include <set>

namespace godwit::os {
namespace {

struct Ends {
  unsigned source{1};
  unsigned destination{2};
  unsigned source_port{40'000};
  unsigned destination_port{80};

  [[nodiscard]] Ends back() const { return {destination, source, destination_port, source_port}; }
};

void put_ports(ByteVector& frame, std::size_t at, const Ends& ends) {
  frame[at] = static_cast<std::byte>(ends.source_port >> 8U);
  frame[at + 1] = static_cast<std::byte>(ends.source_port);
  frame[at + 2] = static_cast<std::byte>(ends.destination_port >> 8U);
  frame[at + 3] = static_cast<std::byte>(ends.destination_port);
}

ByteVector ipv4(const Ends& ends, unsigned fragment = 0) {
  ByteVector frame(14 + 20 + 8);
  frame[12] = std::byte{8};
  frame[14] = std::byte{0x45};
  frame[20] = static_cast<std::byte>(fragment >> 8U);
  frame[21] = static_cast<std::byte>(fragment);
  frame[23] = std::byte{17};
  frame[26] = frame[30] = std::byte{10};
  frame[29] = static_cast<std::byte>(ends.source);
  frame[33] = static_cast<std::byte>(ends.destination);
  put_ports(frame, 34, ends);
  return frame;
}

ByteVector ipv6(const Ends& ends) {
  ByteVector frame(14 + 40 + 8);
  frame[12] = std::byte{0x86};
  frame[13] = std::byte{0xDD};
  frame[14] = std::byte{0x60};
  frame[20] = std::byte{6};
  frame[22] = frame[38] = std::byte{0xFD};
  frame[37] = static_cast<std::byte>(ends.source);
  frame[53] = static_cast<std::byte>(ends.destination);
  put_ports(frame, 54, ends);
  return frame;
}

TEST(FlowSteering, AFlowIsAnsweredByTheQueueThatItCameFrom) {
  FlowSteering steering(4);
  for (unsigned port = 1; port <= 40; ++port) {
    const Ends ends{1, 2, port, 80};
    steering.came(ipv4(ends), port % 4);
    EXPECT_EQ(steering.queue_for(ipv4(ends.back())), port % 4);
    steering.came(ipv6(ends), (port + 1) % 4);
    EXPECT_EQ(steering.queue_for(ipv6(ends.back())), (port + 1) % 4);
    steering.came(ipv4(ends), (port + 2) % 4);  // the guest's scheduler has moved its process
    EXPECT_EQ(steering.queue_for(ipv4(ends.back())), (port + 2) % 4);
  }
}

TEST(FlowSteering, WhatHasNotComeYetIsSpreadAndStaysWhereItIs) {
  const FlowSteering steering(4);
  std::set<std::size_t> used;
  for (unsigned port = 1; port <= 64; ++port) {
    const Ends ends{2, 1, 80, port};
    const auto queue = steering.queue_for(ipv4(ends));
    EXPECT_LT(queue, 4U);
    EXPECT_EQ(steering.queue_for(ipv4(ends.back())), queue);
    used.insert(queue);
  }
  EXPECT_EQ(used.size(), 4U);
}

TEST(FlowSteering, AllFragmentsOfADatagramAreOneFlow) {
  const auto first = ipv4({1, 2, 40'000, 80}, 0x2000);  // more follow
  const auto last = ipv4({1, 2, 12'345, 54'321}, 185);  // its "ports" are payload
  EXPECT_EQ(flow_hash(first), flow_hash(last));
  EXPECT_NE(flow_hash(first), flow_hash(ipv4({1, 2, 40'000, 80})));
}

TEST(FlowSteering, WhateverIsNoWholePacketIsLookedAtWithinItsBounds) {
  const FlowSteering steering(8);
  const auto whole = ipv6({});
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    EXPECT_LT(steering.queue_for(ByteVector(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))), 8U);
  }
  auto long_header = ipv4({});
  long_header[14] = std::byte{0x4F};  // 60 bytes, which are not there
  EXPECT_LT(steering.queue_for(long_header), 8U);
  EXPECT_EQ(flow_hash(ByteVector(60)), 0U);
}

}  // namespace
}  // namespace godwit::os
