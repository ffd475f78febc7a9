// What tests of packet devices share: a guest's end of a TAP, frames, and a network namespace for each test.
#pragma once

#include "os/packet_netlink.h"
#include "os/taps.h"
#include "support/event_loop.h"
#include "sys/packet.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <thread>

namespace godwit::testing {

inline constexpr std::size_t kVnetHeader = 10;  // QEMU's end of a TAP has one

inline ByteVector test_frame(std::string_view text) {
  ByteVector out = *from_hex("ffffffffffff02670000000188b5");
  append(out, as_bytes(text));
  out.resize(60);
  return out;
}

// A datagram of the flow that this source port makes.
inline ByteVector flow_frame(unsigned port, unsigned number) {
  ByteVector out = *from_hex("0267000000020267000000010800450000300000000040110000" + std::string("0a4d000b0a4d000c"));
  append_be16(out, static_cast<std::uint16_t>(port));
  append_be16(out, 80);
  append_be32(out, 28U << 16U);
  append_be32(out, number);
  out.resize(62);
  return out;
}
// The same frame, the other way.
inline ByteVector back(ByteVector frame) {
  std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
  std::swap_ranges(frame.begin() + 26, frame.begin() + 30, frame.begin() + 30);
  std::swap_ranges(frame.begin() + 34, frame.begin() + 36, frame.begin() + 36);
  return frame;
}
inline unsigned port_of(ByteView frame) { return load_be16(frame.subspan(34)); }
inline unsigned number_of(ByteView frame) { return load_be32(frame.subspan(42)); }

// The guest's side, as QEMU holds it.
class Guest {
 public:
  explicit Guest(const std::string& name, unsigned queues = 1)
      : descriptors_(taps_.open_for_guest(name, 1400, queues).value_or(std::vector<int>())) {
    EXPECT_EQ(descriptors_.size(), queues);
  }
  ~Guest() {
    for (const int each : descriptors_) taps_.close_descriptor(each);
  }

  void write(const ByteVector& frame, std::size_t queue = 0) {
    ByteVector with_header(kVnetHeader);
    append(with_header, frame);
    EXPECT_EQ(::write(descriptors_[queue], with_header.data(), with_header.size()),
              static_cast<ssize_t>(with_header.size()));
  }
  // The next frame; empty when none comes within a second.
  ByteVector read(std::size_t queue = 0) {
    pollfd ready{descriptors_[queue], POLLIN, 0};
    if (::poll(&ready, 1, 1000) != 1) return {};
    ByteVector out(2000);
    const auto size = ::read(descriptors_[queue], out.data(), out.size());
    if (size < static_cast<ssize_t>(kVnetHeader)) return {};
    return {out.begin() + kVnetHeader, out.begin() + size};
  }

 private:
  os::SystemTaps taps_;
  std::vector<int> descriptors_;
};

inline sys::UdpEndpoint loopback() { return *sys::parse_udp_endpoint("127.0.0.1", 0); }

inline sys::Task<void> next_batch(sys::PacketIo& io, ByteVector& first, sys::Packet& packet) {
  for (;;) {
    const auto batch = io.receive();
    if (!batch.empty()) {
      packet = batch[0];
      first.assign(packet.bytes.begin(), packet.bytes.end());
      co_return;
    }
    const auto ready = co_await io.wait_readable();
    GODWIT_CO_ASSERT_OK(ready);
  }
}

// Each test runs on a thread with a network namespace of its own, which ends with it.
inline void in_private_network(const std::function<void()>& body) {
  if (::geteuid() != 0 || ::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "needs root and /dev/net/tun";
  std::thread inside([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    auto netlink = os::Netlink::open();
    ASSERT_TRUE(netlink);
    ASSERT_TRUE(netlink->bring_up(os::link_index("lo")));
    body();
  });
  inside.join();
}

}  // namespace godwit::testing
