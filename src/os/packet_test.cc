#include "os/packet_io.h"
#include "os/packet_links.h"
#include "os/packet_netlink.h"
#include "os/packet_netns.h"
#include "os/taps.h"
#include "os/udp_socket.h"
#include "support/event_loop.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/detached.hpp>
#include <thread>

namespace godwit::os {
namespace {

constexpr std::size_t kVnetHeader = 10;  // QEMU's end of a TAP has one

ByteVector test_frame(std::string_view text) {
  ByteVector out = *from_hex("ffffffffffff02670000000188b5");
  append(out, as_bytes(text));
  out.resize(60);
  return out;
}

// The guest's side, as QEMU holds it.
class Guest {
 public:
  explicit Guest(const std::string& name) : descriptor_(taps_.open_for_guest(name, 1400).value_or(-1)) {}
  ~Guest() { taps_.close_descriptor(descriptor_); }

  void write(const ByteVector& frame) {
    ByteVector with_header(kVnetHeader);
    append(with_header, frame);
    EXPECT_EQ(::write(descriptor_, with_header.data(), with_header.size()), static_cast<ssize_t>(with_header.size()));
  }
  // The next frame; empty when none comes within a second.
  ByteVector read() {
    pollfd ready{descriptor_, POLLIN, 0};
    if (::poll(&ready, 1, 1000) != 1) return {};
    ByteVector out(2000);
    const auto size = ::read(descriptor_, out.data(), out.size());
    if (size < static_cast<ssize_t>(kVnetHeader)) return {};
    return {out.begin() + kVnetHeader, out.begin() + size};
  }

 private:
  SystemTaps taps_;
  int descriptor_;
};

sys::UdpEndpoint loopback() { return *sys::parse_udp_endpoint("127.0.0.1", 0); }

sys::Task<void> next_batch(sys::PacketIo& io, ByteVector& first, sys::Packet& packet) {
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
void in_private_network(const std::function<void()>& body) {
  if (::geteuid() != 0 || ::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "needs root and /dev/net/tun";
  std::thread inside([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink);
    ASSERT_TRUE(netlink->bring_up(link_index("lo")));
    body();
  });
  inside.join();
}

TEST(PacketIo, DatagramsComeInBatchesWithTheirSender) {
  in_private_network([] {
    testing::EventLoop loop;
    auto a = SystemPacketIo::open(loop.executor(), loopback());
    auto b = SystemPacketIo::open(loop.executor(), loopback());
    ASSERT_TRUE(a && b);
    EXPECT_TRUE((*b)->receive().empty());
    std::vector<ByteVector> texts;
    for (int i = 0; i < 100; ++i) texts.push_back(ByteVector(static_cast<std::size_t>(i) + 1, std::byte{7}));
    std::vector<sys::OutPacket> out;
    for (const auto& each : texts) out.push_back({0, (*b)->local(), each});
    (*a)->send(out);
    ByteVector first;
    sys::Packet packet;
    loop.run(next_batch(**b, first, packet));
    std::size_t seen = UdpSocket::kMessages;
    EXPECT_EQ(first.size(), 1U);
    EXPECT_EQ(packet.peer, (*a)->local());
    EXPECT_EQ(packet.port, 0U);
    for (auto batch = (*b)->receive(); !batch.empty(); batch = (*b)->receive()) seen += batch.size();
    EXPECT_EQ(seen, 100U);
    EXPECT_EQ((*a)->counts().refused, 0U);
  });
}

TEST(PacketIo, ATakenPortIsAConflict) {
  in_private_network([] {
    testing::EventLoop loop;
    auto a = SystemPacketIo::open(loop.executor(), loopback());
    ASSERT_TRUE(a);
    EXPECT_EQ(SystemPacketIo::open(loop.executor(), (*a)->local()).error().code, Errc::conflict);
  });
}

TEST(SwitchLinks, FramesPassBetweenTheGuestsDeviceAndOurs) {
  in_private_network([] {
    testing::EventLoop loop;
    auto io = SystemPacketIo::open(loop.executor(), loopback());
    auto links = SystemSwitchLinks::open(loop.executor());
    ASSERT_TRUE(io && links);
    const auto tap = (*links)->open_tap("ours", 1400);
    ASSERT_TRUE(tap) << tap.error().message;
    const auto port = (*io)->attach(*tap);
    EXPECT_FALSE(*(*links)->join("ours", "guest", false));  // not there yet

    // Twice: the second guest has a new device of the same name.
    for (int life = 0; life < 2; ++life) {
      Guest guest("guest");
      const auto joined = (*links)->join("ours", "guest", false);
      ASSERT_TRUE(joined && *joined) << (joined ? "no" : joined.error().message);
      EXPECT_TRUE(*(*links)->join("ours", "guest", false));  // again: nothing happens
      const auto up = test_frame("from the guest");
      guest.write(up);
      ByteVector first;
      sys::Packet packet;
      loop.run(next_batch(**io, first, packet));
      EXPECT_EQ(first, up);
      EXPECT_EQ(packet.port, port);
      const auto down = test_frame("to the guest");
      const sys::OutPacket out{port, {}, down};
      (*io)->send({&out, 1});
      EXPECT_EQ(guest.read(), down);
    }
    ASSERT_TRUE((*links)->remove_tap("ours"));
    ASSERT_TRUE((*links)->remove_tap("ours"));
    EXPECT_EQ((*links)->join("ours", "guest", false).error().code, Errc::not_found);
    EXPECT_TRUE((*io)->receive().empty());  // a device that is gone makes no noise
  });
}

TEST(SwitchLinks, ADeviceOutlivesItsSwitchAndTheNextTakesItOver) {
  in_private_network([] {
    testing::EventLoop loop;
    Guest guest("guest");
    const auto frame = test_frame("while nobody was there");
    {
      auto links = SystemSwitchLinks::open(loop.executor());
      auto io = SystemPacketIo::open(loop.executor(), loopback());
      const auto tap = (*links)->open_tap("ours", 1400);
      ASSERT_TRUE(tap);
      static_cast<void>((*io)->attach(*tap));
      ASSERT_TRUE(*(*links)->join("ours", "guest", false));
      EXPECT_EQ((*links)->open_tap("ours", 1400).error().code, Errc::conflict);
    }
    auto links = SystemSwitchLinks::open(loop.executor());
    auto io = SystemPacketIo::open(loop.executor(), loopback());
    const auto tap = (*links)->open_tap("ours", 1400);
    ASSERT_TRUE(tap) << tap.error().message;
    static_cast<void>((*io)->attach(*tap));
    const auto joined = (*links)->join("ours", "guest", false);
    ASSERT_TRUE(joined && *joined) << joined.error().message;
    guest.write(frame);
    ByteVector first;
    sys::Packet packet;
    loop.run(next_batch(**io, first, packet));
    EXPECT_EQ(first, frame);
  });
}

TEST(SwitchLinks, SaysWhenADeviceComes) {
  in_private_network([] {
    testing::EventLoop loop;
    auto links = SystemSwitchLinks::open(loop.executor());
    ASSERT_TRUE(links);
    Guest guest("guest");
    auto changed = [](sys::SwitchLinks& of) -> sys::Task<void> {
      const auto done = co_await of.wait_changed();
      GODWIT_CO_ASSERT_OK(done);
    };
    loop.run(changed(**links));
  });
}

TEST(SwitchLinks, AGatewayLivesInANamespaceThatIsMadeAndRemoved) {
  in_private_network([] {
    testing::EventLoop loop;
    const auto name = fmt::format("gwt-{}", ::getpid());
    const auto path = "/run/netns/" + name;
    auto links = SystemSwitchLinks::open(loop.executor());
    ASSERT_TRUE(links);
    const sys::GatewaySpec spec{name, 0x066777000001, 1400, {"10.77.0.1/24", "169.254.169.254/32"}};
    for (int life = 0; life < 2; ++life) {  // made, and taken over
      const auto gateway = (*links)->open_gateway(spec);
      ASSERT_TRUE(gateway) << gateway.error().message;
      ::close(*gateway);
    }
    const auto inside = in_network_namespace(name, []() -> Result<int> { return link_index("gw0"); });
    EXPECT_GT(*inside, 0);
    EXPECT_EQ(link_index("gw0"), 0);  // not here
    ASSERT_TRUE((*links)->remove_gateway(name));
    ASSERT_TRUE((*links)->remove_gateway(name));
    struct stat found{};
    EXPECT_NE(::stat(path.c_str(), &found), 0);
  });
}

}  // namespace
}  // namespace godwit::os
