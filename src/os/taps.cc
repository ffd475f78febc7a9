#include "os/taps.h"

#include "os/descriptor.h"
#include "os/packet_netlink.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace godwit::os {
namespace {

constexpr std::string_view kRemedy = "run as root, or give the binary CAP_NET_ADMIN";

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  return request;
}

std::unexpected<Error> refused(int error, const std::string& name) {
  auto failure = fail_errno(error, fmt::format("open tap \"{}\"", name));
  if (error == EPERM || error == EACCES) failure.error().message += fmt::format(": {}", kRemedy);
  if (error == EBUSY) failure.error().message += ": another process holds it";
  return failure;
}

Result<Descriptor> attach(const std::string& name, int flags) {
  Descriptor tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tun) {
    const int error = errno;
    auto failure = fail_errno(error, "open /dev/net/tun");
    failure.error().message += error == ENOENT ? ": load the kernel module tun" : fmt::format(": {}", kRemedy);
    return failure;
  }
  auto request = request_for(name);
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags);
  if (::ioctl(tun.get(), TUNSETIFF, &request) != 0) return refused(errno, name);
  return tun;
}

// Best effort: with it a device takes 6 MiB less of the kernel's memory.
void skip_scheduling(const std::string& name) {
  auto netlink = Netlink::open();
  if (netlink) [[maybe_unused]]
    const auto spared = netlink->skip_scheduling(link_index(name));
}

Result<> bring_up(const std::string& name, unsigned mtu) {
  const Descriptor control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control) return fail_errno(errno, "open a control socket");
  auto request = request_for(name);
  request.ifr_mtu = static_cast<int>(mtu);
  if (::ioctl(control.get(), SIOCSIFMTU, &request) != 0) {
    return fail_errno(errno, fmt::format("set MTU {} of tap \"{}\"", mtu, name));
  }
  request = request_for(name);
  if (::ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) return refused(errno, name);
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) return refused(errno, name);
  return {};
}

}  // namespace

Result<std::vector<int>> SystemTaps::open_for_guest(const std::string& name, unsigned mtu, unsigned queues) {
  if (name.empty() || name.size() >= IFNAMSIZ || name.find_first_of("/ %:") != std::string::npos) {
    return fail(Errc::invalid_argument, "open tap \"{}\": a name has 1 to {} characters, none of \"/ %:\"", name,
                IFNAMSIZ - 1);
  }
  std::vector<Descriptor> held;
  while (held.size() < std::max(queues, 1U)) {
    // To one of several queues that somebody holds the kernel would add another, unless it is to be new.
    const int flags = (queues > 1 ? IFF_MULTI_QUEUE : 0) | (held.empty() ? IFF_TUN_EXCL : 0);
    auto tun = attach(name, flags);
    if (!tun) return pass(tun);
    held.push_back(std::move(*tun));
  }
  if (queues > 1) skip_scheduling(name);
  const auto up = bring_up(name, mtu);
  if (!up) return pass(up);
  std::vector<int> out;
  for (auto& each : held) out.push_back(each.release());
  return out;
}

void SystemTaps::close_descriptor(int descriptor) { ::close(descriptor); }

}  // namespace godwit::os
