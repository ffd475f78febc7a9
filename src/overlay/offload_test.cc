#include "overlay/offload.h"

#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr std::size_t kLimit = 1514;
constexpr std::size_t kTransport = wire::kEthernetHeader + 20;

// Ethernet, IPv4, and so many bytes behind.
ByteVector ipv4(std::uint8_t protocol, std::size_t size) {
  auto out = guest_frame(0, 1, std::string(size - 8, 'x'));
  out[wire::kEthernetHeader + 9] = std::byte{protocol};
  if (protocol == 6) out[kTransport + 12] = std::byte{0x80};  // a TCP header of 32 bytes
  return out;
}

sys::Offload tcp4(std::uint16_t segment) { return {true, 1, 0, segment, kTransport, 16}; }
sys::Offload udp(std::uint16_t segment) { return {true, 5, 0, segment, kTransport, 6}; }

TEST(Offload, HonestSuperFramesPassWithTheLengthOfTheirHeaders) {
  auto tcp = tcp4(1448);
  EXPECT_EQ(check(tcp, ipv4(6, 32 + 60'000), kLimit), std::nullopt);
  EXPECT_EQ(tcp.header_bytes, kTransport + 32);
  tcp.gso |= sys::kGsoEcn;
  EXPECT_EQ(check(tcp, ipv4(6, 32 + 60'000), kLimit), std::nullopt);
  auto datagrams = udp(64);
  EXPECT_EQ(check(datagrams, ipv4(17, 8 + 64 * 50), kLimit), std::nullopt);
  EXPECT_EQ(datagrams.header_bytes, kTransport + 8);
  EXPECT_EQ(frames_of(datagrams, ipv4(17, 8 + 64 * 50 + 1)), 51U);
}

TEST(Offload, AFrameAsItIsMayBeAsLongAsTheNetworkAllowsAndItsChecksumMustLieInIt) {
  sys::Offload none{false, 0, 99, 99, 99, 99};
  EXPECT_EQ(check(none, ByteVector(kLimit), kLimit), std::nullopt);
  EXPECT_EQ(none, sys::Offload{});
  EXPECT_EQ(check(none, ByteVector(kLimit + 1), kLimit), Drop::too_big);
  sys::Offload checksum{true, 0, 0, 0, kTransport, 6};
  EXPECT_EQ(check(checksum, ipv4(17, 8), kLimit), std::nullopt);
  checksum.checksum_offset = 7;
  EXPECT_EQ(check(checksum, ipv4(17, 8), kLimit), Drop::malformed);
  checksum.checksum_offset = 0xffff;
  EXPECT_EQ(check(checksum, ipv4(17, 8), kLimit), Drop::malformed);
  checksum = {true, 0, 0, 0, 4, 6};  // in the Ethernet header
  EXPECT_EQ(check(checksum, ipv4(17, 8), kLimit), Drop::malformed);
}

TEST(Offload, ClaimsThatTheHeadersDontBearOutAreRefused) {
  const auto tcp_frame = ipv4(6, 32 + 9'000);
  const auto refused = [&](sys::Offload offload, const ByteVector& frame) { return check(offload, frame, kLimit); };
  EXPECT_EQ(refused(tcp4(1449 + 0), tcp_frame), Drop::too_big);
  EXPECT_EQ(refused(tcp4(0), tcp_frame), Drop::malformed);
  EXPECT_EQ(refused(tcp4(kLeastTcpSegment - 1), tcp_frame), Drop::malformed);
  EXPECT_EQ(refused(udp(8), ipv4(17, 8 + 8 * kMostUdpSegments + 1)), Drop::malformed);
  EXPECT_EQ(refused(tcp4(1448), ipv4(17, 9'000)), Drop::malformed);  // it is UDP
  EXPECT_EQ(refused(udp(1448), tcp_frame), Drop::malformed);
  auto six = tcp4(1448);
  six.gso = 4;
  EXPECT_EQ(refused(six, tcp_frame), Drop::malformed);
  auto elsewhere = tcp4(1448);
  elsewhere.checksum_start = kTransport + 1;
  EXPECT_EQ(refused(elsewhere, tcp_frame), Drop::malformed);
  auto unchecked = tcp4(1448);
  unchecked.needs_checksum = false;
  EXPECT_EQ(refused(unchecked, tcp_frame), Drop::unsupported);
  for (const int unknown : {2, 3, 6, 0x20, 0x40, 0x80, 0x85, 0xff}) {
    auto offload = tcp4(1448);
    offload.gso = static_cast<std::uint8_t>(unknown);
    EXPECT_EQ(refused(offload, tcp_frame), Drop::unsupported) << unknown;
  }
  auto fragment = tcp_frame;
  fragment[wire::kEthernetHeader + 6] = std::byte{0x20};
  EXPECT_EQ(refused(tcp4(1448), fragment), Drop::malformed);
  auto long_header = ipv4(6, 40);
  long_header[kTransport + 12] = std::byte{0xf0};
  EXPECT_EQ(refused(tcp4(1448), long_header), Drop::malformed);
  EXPECT_EQ(refused(tcp4(1448), ByteVector(20)), Drop::malformed);
}

TEST(Offload, NoBytesMakeItCrashOrPassSegmentsThatAreTooLong) {
  SeededRandom random(3);
  const auto good = ipv4(6, 32 + 3'000);
  for (int round = 0; round < 50'000; ++round) {
    auto frame = good;
    frame.resize(random.below(frame.size()));
    for (auto flips = random.below(6); flips > 0 && !frame.empty(); --flips) {
      frame[random.below(std::min<std::size_t>(frame.size(), 70))] = static_cast<std::byte>(random.below(256));
    }
    sys::Offload offload{random.below(8) != 0, static_cast<std::uint8_t>(random.below(6)), 0,
                         static_cast<std::uint16_t>(random.below(2'000)),
                         static_cast<std::uint16_t>(random.below(2) == 0 ? kTransport : random.below(4'000)),
                         static_cast<std::uint16_t>(random.below(20))};
    if (check(offload, frame, kLimit)) continue;
    EXPECT_LE(offload.gso == 0 ? frame.size() : offload.header_bytes + offload.segment_bytes, kLimit);
    const auto checksum_end = offload.checksum_start + offload.checksum_offset + 2U;
    EXPECT_TRUE(!offload.needs_checksum || checksum_end <= frame.size());
  }
}

}  // namespace
}  // namespace godwit::overlay::testing
