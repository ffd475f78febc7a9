#include "os/tap_device.h"

#include "os/packet_links.h"
#include "os/vnet_header.h"
#include "support/guest_tap.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace godwit::os {
namespace {

using testing::in_private_network;

constexpr std::uint16_t kSegment = 1000;
constexpr std::size_t kSegments = 10;

struct SuperFrame {
  const char* what;
  bool ipv6;
  sys::Gso gso;
};
constexpr SuperFrame kTcp4{"TCP over IPv4", false, sys::Gso::tcp4};
constexpr SuperFrame kTcp6{"TCP over IPv6", true, sys::Gso::tcp6};
constexpr SuperFrame kUdp4{"UDP over IPv4", false, sys::Gso::udp};
constexpr SuperFrame kUdp6{"UDP over IPv6", true, sys::Gso::udp};

struct Sent {
  ByteVector frame;
  sys::Offload offload;
};

Sent make(const SuperFrame& of) {
  const bool udp = of.gso == sys::Gso::udp;
  const std::size_t start = of.ipv6 ? 54 : 34;
  const std::size_t header = start + (udp ? 8 : 20);
  const auto transport = static_cast<std::uint8_t>(udp ? IPPROTO_UDP : IPPROTO_TCP);
  ByteVector out(header + kSegments * kSegment, std::byte{'x'});
  const ByteSpan head = ByteSpan(out).first(header);
  std::ranges::fill(head, std::byte{});
  store_be16(head.subspan(0), 0x0267);
  store_be16(head.subspan(6), 0x0267);
  store_be16(head.subspan(12), of.ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
  const auto ip = head.subspan(14);
  if (of.ipv6) {
    ip[0] = std::byte{0x60};
    store_be16(ip.subspan(4), static_cast<std::uint16_t>(out.size() - start));
    ip[6] = std::byte{transport};
    ip[7] = std::byte{64};
  } else {
    ip[0] = std::byte{0x45};
    store_be16(ip.subspan(2), static_cast<std::uint16_t>(out.size() - 14));
    ip[8] = std::byte{64};
    ip[9] = std::byte{transport};
  }
  const auto four = head.subspan(start);
  if (udp) store_be16(four.subspan(4), static_cast<std::uint16_t>(out.size() - start));
  if (!udp) four[12] = std::byte{0x50};  // five words of header
  return {std::move(out),
          {true, static_cast<std::uint8_t>(of.gso), static_cast<std::uint16_t>(header), kSegment,
           static_cast<std::uint16_t>(start), static_cast<std::uint16_t>(udp ? 6 : 16)}};
}

// Puts frames out at a device as a redirection from a guest's does: what that can't take whole, the kernel cuts.
class Injector {
 public:
  explicit Injector(const std::string& device)
      : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)), index_(link_index(device)) {
    const int on = 1;
    EXPECT_EQ(::setsockopt(socket_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on), 0);
  }
  void put(const Sent& sent) {
    const auto header = to_vnet(sent.offload);
    ByteVector bytes(sizeof header);
    std::memcpy(bytes.data(), &header, sizeof header);
    append(bytes, sent.frame);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = index_;
    to.sll_protocol = htons(load_be16(ByteView(sent.frame).subspan(12)));
    EXPECT_EQ(::sendto(socket_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(bytes.size()))
        << std::strerror(errno);
  }

 private:
  Descriptor socket_;
  int index_;
};

// Until the payload of a super-frame is there, at whichever queues.
std::vector<Sent> read_all(sys::PacketDevice& device, std::size_t header) {
  std::vector<Sent> out;
  ByteVector room(sys::PacketDevice::kRoomBytes);
  std::vector<pollfd> ready;
  for (const int each : device.queues()) ready.push_back({each, POLLIN, 0});
  for (std::size_t left = kSegments * kSegment; left > 0;) {
    if (::poll(ready.data(), ready.size(), 1000) < 1) {
      ADD_FAILURE() << left << " bytes did not come";
      return out;
    }
    for (std::size_t queue = 0; queue < ready.size(); ++queue) {
      const auto frame = device.read(queue, room);
      if (!frame || frame->bytes.size() < header) continue;
      left -= std::min(left, frame->bytes.size() - header);
      out.push_back({{frame->bytes.begin(), frame->bytes.end()}, frame->offload});
    }
  }
  return out;
}

// Linux has it since 6.2.
bool kernel_cuts_udp() {
  const Descriptor tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  EXPECT_EQ(::ioctl(tun.get(), TUNSETIFF, &request), 0);
  return ::ioctl(tun.get(), TUNSETOFFLOAD, TUN_F_CSUM | 0x20U | 0x40U) == 0;
}

TEST(TapDevice, SuperFramesComeWhole) {
  in_private_network([] {
    testing::EventLoop loop;
    auto links = SystemSwitchLinks::open(loop.executor());
    ASSERT_TRUE(links);
    for (const unsigned queues : {1U, 4U}) {
      const auto tap = (*links)->open_tap("ours", 1500, queues);
      ASSERT_TRUE(tap) << tap.error().message;
      Injector injector("ours");
      for (const auto& each : {kTcp4, kTcp6, kUdp4, kUdp6}) {
        SCOPED_TRACE(each.what);
        const auto sent = make(each);
        injector.put(sent);
        const auto came = read_all(**tap, sent.offload.header_bytes);
        const bool cut = each.gso == sys::Gso::udp && !kernel_cuts_udp();
        ASSERT_EQ(came.size(), cut ? kSegments : 1U);
        if (cut) continue;
        EXPECT_EQ(came[0].frame, sent.frame);
        EXPECT_EQ(came[0].offload.gso, sent.offload.gso);
        EXPECT_EQ(came[0].offload.segment_bytes, kSegment);
        EXPECT_TRUE(came[0].offload.needs_checksum);
        EXPECT_EQ(came[0].offload.checksum_start, sent.offload.checksum_start);
        EXPECT_EQ(came[0].offload.checksum_offset, sent.offload.checksum_offset);
      }
      ASSERT_TRUE((*links)->remove_tap("ours"));
    }
  });
}

}  // namespace
}  // namespace godwit::os
