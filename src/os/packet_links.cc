#include "os/packet_links.h"

#include "os/awaiting.h"
#include "os/packet_netlink.h"
#include "os/packet_netns.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <map>

namespace godwit::os {
namespace {

constexpr std::uint32_t kQueueFrames = 1000;  // between the kernel and us, a device
constexpr const char* kGatewayDevice = "gw0";

// What the kernel need not do to frames before we read them: they cross the overlay as they are, and whoever gets them
// in the end, a guest or a card, does it. linux/if_tun.h; USO came with Linux 6.2.
constexpr unsigned kSegmentation = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
constexpr unsigned kUdpSegmentation = 0x20U | 0x40U;  // TUN_F_USO4, TUN_F_USO6

void take_super_frames(int tap) {
  if (::ioctl(tap, TUNSETOFFLOAD, kSegmentation | kUdpSegmentation) == 0) return;
  // Without it the kernel cuts them before we read: slower, and right.
  [[maybe_unused]] const auto taken = ::ioctl(tap, TUNSETOFFLOAD, kSegmentation);
}

// Opens the persistent TAP `name` in this thread's network namespace, making it if it is not there.
Result<Descriptor> attach_tap(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return fail(Errc::invalid_argument, "open tap \"{}\": a name has 1 to {} characters", name, IFNAMSIZ - 1);
  }
  Descriptor tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tun) {
    auto failure = fail_errno(errno, "open /dev/net/tun");
    failure.error().message += ": load the kernel module tun, and run as root";
    return failure;
  }
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  const bool done = ::ioctl(tun.get(), TUNSETIFF, &request) == 0 && ::ioctl(tun.get(), TUNSETPERSIST, 1) == 0;
  if (done) {
    take_super_frames(tun.get());
    return tun;
  }
  const int error = errno;
  auto failure = fail_errno(error, fmt::format("open tap \"{}\"", name));
  if (error == EBUSY) failure = fail(Errc::conflict, "open tap \"{}\": another switch holds it; stop that first", name);
  if (error == EPERM) failure.error().message += ": run as root, or give the binary CAP_NET_ADMIN";
  return failure;
}

// The host's own IPv6 must not speak on a device that belongs to a guest, and must where the address is IPv6. Best
// effort: /proc/sys may be read-only.
void set_ipv6(const std::string& device, bool on) {
  const auto path = fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", device);
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file) [[maybe_unused]]
    const auto written = ::write(file.get(), on ? "0" : "1", 1);
}

// A socket that becomes readable when a link comes, goes or changes.
Result<Descriptor> link_events() {
  Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket) return fail_errno(errno, "open a netlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, "listen to link changes");
  }
  return socket;
}

Result<int> make_gateway(const sys::GatewaySpec& spec) {
  auto netlink = Netlink::open();
  if (!netlink) return pass(netlink);
  const auto loopback = netlink->bring_up(link_index("lo"));
  if (!loopback) return pass(loopback);
  auto tap = attach_tap(kGatewayDevice);
  if (!tap) return pass(tap);
  set_ipv6(kGatewayDevice, true);
  const int index = link_index(kGatewayDevice);
  const auto set = netlink->set_link(index, {spec.mtu, kQueueFrames, spec.mac, true});
  if (!set) return pass(set);
  for (const auto& address : spec.addresses) {
    const auto given = netlink->set_address(index, address);
    // A host without IPv6 still serves IPv4.
    if (!given && address.find(':') == std::string::npos) return pass(given);
  }
  return tap->release();
}

}  // namespace

struct SystemSwitchLinks::Impl {
  struct Joined {
    int tap{0};
    int guest{0};
    bool operator==(const Joined&) const = default;
  };

  Netlink netlink;
  boost::asio::posix::stream_descriptor events;
  std::map<std::string, Joined> joined;  // by the switch's TAP: indexes of both devices
};

SystemSwitchLinks::SystemSwitchLinks(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SystemSwitchLinks::~SystemSwitchLinks() = default;

Result<std::unique_ptr<SystemSwitchLinks>> SystemSwitchLinks::open(const sys::Executor& executor) {
  auto netlink = Netlink::open();
  if (!netlink) return pass(netlink);
  auto events = link_events();
  if (!events) return pass(events);
  boost::asio::posix::stream_descriptor descriptor(executor, events->release());
  auto impl = std::make_unique<Impl>(Impl{std::move(*netlink), std::move(descriptor), {}});
  return std::unique_ptr<SystemSwitchLinks>(new SystemSwitchLinks(std::move(impl)));
}

Result<int> SystemSwitchLinks::open_tap(const std::string& name, std::uint32_t mtu) {
  auto tap = attach_tap(name);
  if (!tap) return pass(tap);
  set_ipv6(name, false);
  const auto set = impl_->netlink.set_link(link_index(name), {mtu, kQueueFrames, 0, false});
  if (!set) return fail(set, name);
  return tap->release();
}

Result<> SystemSwitchLinks::remove_tap(const std::string& name) {
  impl_->joined.erase(name);
  const int index = link_index(name);
  if (index == 0) return {};
  return impl_->netlink.remove_link(index);
}

Result<bool> SystemSwitchLinks::join(const std::string& tap, const std::string& guest, bool promiscuous) {
  const Impl::Joined wanted{link_index(tap), link_index(guest)};
  if (wanted.tap == 0) return fail(Errc::not_found, "join {} and {}: the switch's own device is gone", tap, guest);
  if (wanted.guest == 0) {
    impl_->joined.erase(tap);
    return false;
  }
  if (impl_->joined[tap] == wanted) return true;
  set_ipv6(guest, false);
  const auto quiet = impl_->netlink.set_link(wanted.guest, {0, 0, 0, false, promiscuous});
  const auto out = quiet ? impl_->netlink.redirect(wanted.guest, wanted.tap) : quiet;
  const auto in = out ? impl_->netlink.redirect(wanted.tap, wanted.guest) : out;
  if (!in) {
    impl_->joined.erase(tap);
    if (in.error().code == Errc::not_found && link_index(guest) != wanted.guest) return false;  // it went meanwhile
    return fail(in, fmt::format("join {} and {}", tap, guest));
  }
  impl_->joined[tap] = wanted;
  return true;
}

Result<> SystemSwitchLinks::part(const std::string& guest) {
  const int index = link_index(guest);
  return index == 0 ? Result<>{} : impl_->netlink.end_redirect(index);
}

Result<int> SystemSwitchLinks::open_gateway(const sys::GatewaySpec& spec) {
  auto made = in_network_namespace(spec.network_namespace, [&] { return make_gateway(spec); });
  if (!made) return fail(made, "gateway " + spec.network_namespace);
  return made;
}

Result<int> SystemSwitchLinks::open_host_device(const sys::HostDeviceSpec& spec) {
  auto tap = attach_tap(spec.name);
  if (!tap) return pass(tap);
  set_ipv6(spec.name, true);
  const int index = link_index(spec.name);
  const auto set = impl_->netlink.set_link(index, {spec.mtu, kQueueFrames, spec.mac, false});
  const auto given = set ? impl_->netlink.set_address(index, spec.address) : set;
  if (!given) return fail(given, spec.name);
  return tap->release();
}

Result<> SystemSwitchLinks::remove_gateway(const std::string& network_namespace) {
  return remove_network_namespace(network_namespace);
}

sys::Task<Result<>> SystemSwitchLinks::wait_changed() {
  const auto [error] = co_await impl_->events.async_wait(boost::asio::posix::descriptor_base::wait_read, kAwait);
  if (error) {
    co_await unless_cancelled();
    co_return failure(error, "wait for link changes");
  }
  // What changed is looked up afterwards; an overflow (ENOBUFS) says no less than a message.
  std::array<char, 16UL * 1024> ignored{};
  for (int i = 0; i < 64; ++i) {
    const auto size = ::recv(impl_->events.native_handle(), ignored.data(), ignored.size(), 0);
    if (size < 0 && errno != ENOBUFS) break;
  }
  co_return Result<>{};
}

}  // namespace godwit::os
