#include "os/udp_socket.h"

#include "support/guest_tap.h"

#include <gtest/gtest.h>
#include <netinet/udp.h>
#include <poll.h>

namespace godwit::os {
namespace {

using testing::in_private_network;

constexpr std::size_t kSegment = 1200;

bool kernel_has_segments() {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int size = kSegment;
  const int on = 1;
  return ::setsockopt(socket.get(), SOL_UDP, UDP_SEGMENT, &size, sizeof size) == 0 &&
         ::setsockopt(socket.get(), SOL_UDP, UDP_GRO, &on, sizeof on) == 0;
}

ByteVector numbered(std::size_t size) {
  ByteVector out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i / 7);
  return out;
}

struct Message {
  ByteVector bytes;
  std::size_t segment;
};

std::vector<Message> receive(UdpSocket& socket, std::size_t bytes) {
  std::vector<Message> out;
  std::array<sys::Packet, UdpSocket::kMessages> packets;
  sys::PacketCounts counts;
  pollfd ready{socket.get(), POLLIN, 0};
  while (bytes > 0 && ::poll(&ready, 1, 1000) == 1) {
    const auto count = socket.receive(packets, counts);
    for (const auto& each : std::span(packets).first(count)) {
      out.push_back({{each.bytes.begin(), each.bytes.end()}, each.segment});
      bytes -= std::min(bytes, each.bytes.size());
    }
  }
  return out;
}

class UdpSocketTest : public ::testing::TestWithParam<const char*> {};

TEST_P(UdpSocketTest, ManyDatagramsGoAndComeAsOneMessage) {
  in_private_network([ip = GetParam()] {
    if (!kernel_has_segments()) GTEST_SKIP() << "needs UDP_SEGMENT and UDP_GRO";
    auto a = UdpSocket::bind(*sys::parse_udp_endpoint(ip, 0));
    auto b = UdpSocket::bind(*sys::parse_udp_endpoint(ip, 0));
    ASSERT_TRUE(a && b);
    const auto text = numbered(20 * kSegment + 100);
    sys::PacketCounts counts;
    a->send({0, b->local(), text, {}, kSegment}, counts);
    a->flush(counts);
    const auto came = receive(*b, text.size());
    ASSERT_EQ(came.size(), 1U);
    EXPECT_EQ(came[0].segment, kSegment);
    EXPECT_EQ(came[0].bytes, text);
    EXPECT_EQ(counts.refused, 0U);
  });
}

// Linux cuts 64 out of a message, 128 since 6.9.
TEST_P(UdpSocketTest, WhatTheKernelDoesNotCutGoesOneByOne) {
  in_private_network([ip = GetParam()] {
    auto a = UdpSocket::bind(*sys::parse_udp_endpoint(ip, 0));
    auto b = UdpSocket::bind(*sys::parse_udp_endpoint(ip, 0));
    ASSERT_TRUE(a && b);
    constexpr std::size_t kShort = 100;
    const auto text = numbered(300 * kShort + 1);
    sys::PacketCounts counts;
    a->send({0, b->local(), text, {}, kShort}, counts);
    a->flush(counts);
    ByteVector joined;
    const auto came = receive(*b, text.size());
    for (const auto& each : came) append(joined, each.bytes);
    EXPECT_EQ(came.size(), 301U);
    EXPECT_EQ(joined, text);
    EXPECT_EQ(counts.refused, 0U);
  });
}

INSTANTIATE_TEST_SUITE_P(Families, UdpSocketTest, ::testing::Values("127.0.0.1", "::1"),
                         [](const auto& each) { return std::string(each.param) == "::1" ? "ipv6" : "ipv4"; });

}  // namespace
}  // namespace godwit::os
