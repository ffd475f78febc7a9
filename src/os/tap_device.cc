#include "os/tap_device.h"

#include "os/packet_netlink.h"
#include "os/vnet_header.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace godwit::os {
namespace {

// What the kernel need not do to frames before we read them: they cross the overlay as they are, and whoever gets them
// in the end, a guest or a card, does it. linux/if_tun.h; USO came with Linux 6.2.
constexpr unsigned kSegmentation = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
constexpr unsigned kUdpSegmentation = 0x20U | 0x40U;  // TUN_F_USO4, TUN_F_USO6
constexpr int kKind = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
constexpr auto kOtherKind = Errc::unsupported;

void take_super_frames(int tap) {
  if (::ioctl(tap, TUNSETOFFLOAD, kSegmentation | kUdpSegmentation) == 0) return;
  // Without it the kernel cuts them before we read: slower, and right.
  [[maybe_unused]] const auto taken = ::ioctl(tap, TUNSETOFFLOAD, kSegmentation);
}

std::unexpected<Error> held(const std::string& name) {
  return fail(Errc::conflict, "open tap \"{}\": another switch holds it; stop that first", name);
}

std::unexpected<Error> refused(int error, const std::string& name) {
  if (error == EBUSY) return held(name);
  auto failure = fail_errno(error, fmt::format("open tap \"{}\"", name));
  if (error == EPERM) failure.error().message += ": run as root, or give the binary CAP_NET_ADMIN";
  return failure;
}

Result<Descriptor> open_tun() {
  Descriptor tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (tun) return tun;
  auto failure = fail_errno(errno, "open /dev/net/tun");
  failure.error().message += ": load the kernel module tun, and run as root";
  return failure;
}

// 0, or the errno of TUNSETIFF.
int attach_queue(int tun, const std::string& name, int flags) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = static_cast<short>(kKind | flags);
  return ::ioctl(tun, TUNSETIFF, &request) == 0 ? 0 : errno;
}

// A device of several queues lets anybody add one, where one of a single queue says EBUSY.
Result<> check_free(const std::string& name) {
  const int index = link_index(name);
  if (index == 0) return {};
  auto netlink = Netlink::open();
  if (!netlink) return pass(netlink);
  const auto attached = netlink->tap_queues(index);
  if (!attached) return pass(attached);
  return *attached == 0 ? Result<>() : held(name);
}

// Errors: kOtherKind, where it was made with one queue and is opened with several, or the reverse.
Result<std::vector<Descriptor>> open_queues(const std::string& name, int flags, std::uint32_t count) {
  const auto is_free = flags == 0 ? Result<>() : check_free(name);
  if (!is_free) return pass(is_free);
  std::vector<Descriptor> out;
  while (out.size() < count) {
    auto tun = open_tun();
    if (!tun) return pass(tun);
    const int error = attach_queue(tun->get(), name, flags);
    if (error == EINVAL) return fail(kOtherKind, "open tap \"{}\": EINVAL, it is no such device", name);
    if (error != 0) return refused(error, name);
    out.push_back(std::move(*tun));
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<TapDevice>> TapDevice::open(const std::string& name, std::uint32_t queues) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return fail(Errc::invalid_argument, "open tap \"{}\": a name has 1 to {} characters", name, IFNAMSIZ - 1);
  }
  auto opened = open_queues(name, queues > 1 ? IFF_MULTI_QUEUE : 0, std::max<std::uint32_t>(queues, 1));
  if (!opened && opened.error().code == kOtherKind) {  // it is there: an earlier switch has made it
    opened = open_queues(name, queues > 1 ? 0 : IFF_MULTI_QUEUE, 1);
  }
  if (!opened) return pass(opened);
  auto& out = *opened;
  if (::ioctl(out.front().get(), TUNSETPERSIST, 1) != 0) return refused(errno, name);
  take_super_frames(out.front().get());  // of the whole device
  return std::make_unique<TapDevice>(std::move(out));
}

TapDevice::TapDevice(std::vector<Descriptor> queues) : queues_(std::move(queues)) {
  for (const auto& each : queues_) descriptors_.push_back(each.get());
}

std::optional<sys::DeviceFrame> TapDevice::read(std::size_t queue, ByteSpan room) {
  ssize_t size = 0;
  do size = ::read(descriptors_[queue], room.data(), room.size());
  while (size < 0 && errno == EINTR);
  if (size <= 0) return std::nullopt;
  const auto whole = static_cast<std::size_t>(size);
  if (whole < sizeof(VnetHeader) || whole > sizeof(VnetHeader) + sys::kFrameLimit) return sys::DeviceFrame{};
  VnetHeader header;
  std::memcpy(&header, room.data(), sizeof header);
  return sys::DeviceFrame{room.first(whole).subspan(sizeof header), whole, from_vnet(header)};
}

bool TapDevice::write(std::size_t queue, ByteView frame, const sys::Offload& offload) {
  auto header = to_vnet(offload);
  const std::array<iovec, 2> parts{iovec{&header, sizeof header},
                                   iovec{const_cast<std::byte*>(frame.data()), frame.size()}};
  return ::writev(descriptors_[queue], parts.data(), parts.size()) >= 0;
}

}  // namespace godwit::os
