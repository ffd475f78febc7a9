#include "os/packet_links.h"

#include "os/awaiting.h"
#include "os/packet_netlink.h"
#include "os/packet_netns.h"
#include "os/tap_device.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <map>

namespace godwit::os {
namespace {

constexpr std::uint32_t kQueueFrames = 1000;  // between the kernel and us, a queue
constexpr const char* kGatewayDevice = "gw0";

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

using Device = std::unique_ptr<sys::PacketDevice>;

Result<Device> make_gateway(const sys::GatewaySpec& spec) {
  auto netlink = Netlink::open();
  if (!netlink) return pass(netlink);
  const auto loopback = netlink->bring_up(link_index("lo"));
  if (!loopback) return pass(loopback);
  auto tap = TapDevice::open(kGatewayDevice, 1);
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
  return std::move(*tap);
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

Result<Device> SystemSwitchLinks::open_tap(const std::string& name, std::uint32_t mtu, std::uint32_t queues) {
  auto tap = TapDevice::open(name, queues);
  if (!tap) return pass(tap);
  set_ipv6(name, false);
  if ((*tap)->queues().size() > 1) [[maybe_unused]]
    const auto spared = impl_->netlink.skip_scheduling(link_index(name));
  const auto set = impl_->netlink.set_link(link_index(name), {mtu, kQueueFrames, 0, false});
  if (!set) return fail(set, name);
  return std::move(*tap);
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

Result<Device> SystemSwitchLinks::open_gateway(const sys::GatewaySpec& spec) {
  Result<Device> made;
  const auto inside = in_network_namespace(spec.network_namespace, [&]() -> Result<> {
    made = make_gateway(spec);
    return made ? Result<>() : Result<>(pass(made));
  });
  if (!inside) return fail(inside, "gateway " + spec.network_namespace);
  return made;
}

Result<Device> SystemSwitchLinks::open_host_device(const sys::HostDeviceSpec& spec) {
  auto tap = TapDevice::open(spec.name, 1);
  if (!tap) return pass(tap);
  set_ipv6(spec.name, true);
  const int index = link_index(spec.name);
  const auto set = impl_->netlink.set_link(index, {spec.mtu, kQueueFrames, spec.mac, false});
  const auto given = set ? impl_->netlink.set_address(index, spec.address) : set;
  if (!given) return fail(given, spec.name);
  return std::move(*tap);
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
