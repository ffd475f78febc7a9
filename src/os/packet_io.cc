#include "os/packet_io.h"

#include "os/awaiting.h"
#include "os/descriptor.h"
#include "os/udp_socket.h"
#include "os/vnet_header.h"

#include <sys/epoll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <optional>

namespace godwit::os {
namespace {

constexpr std::size_t kFrames = 128;        // of all devices in one batch
constexpr std::size_t kFramesADevice = 64;  // so that a busy one doesn't keep the others waiting
constexpr std::size_t kSlots = 2 * UdpSocket::kMessages + kFrames;
constexpr sys::PortHandle kOtherUdp = ~sys::PortHandle{0};  // in the epoll set
// Of super-frames a batch needs no more: what is read stays in the processor's cache until it is sent.
constexpr std::size_t kFrameBytesABatch = 256UL * 1024;
constexpr std::size_t kFrameMemory = kFrameBytesABatch + sizeof(VnetHeader) + sys::kFrameLimit + 1;

Result<> watch(int epoll, int descriptor, sys::PortHandle handle) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = handle;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) return fail_errno(errno, "watch a packet device");
  return {};
}

}  // namespace

struct SystemPacketIo::Impl {
  Impl(const sys::Executor& executor, UdpSocket udp_socket, Descriptor epoll_set)
      : udp(std::move(udp_socket)),
        epoll(std::move(epoll_set)),
        ready(executor, ::fcntl(epoll.get(), F_DUPFD_CLOEXEC, 0)),
        frames(kFrameMemory) {}

  // Returns how many more packets there are.
  std::size_t read_device(sys::PortHandle handle, std::size_t filled);
  void write_device(const sys::OutPacket& packet);

  UdpSocket udp;
  std::optional<UdpSocket> other_udp;
  Descriptor epoll;
  boost::asio::posix::stream_descriptor ready;  // a duplicate of `epoll`, for the event loop to wait on
  std::vector<Descriptor> devices;              // by handle - 1
  sys::PacketCounts counts;

  ByteVector frames;
  std::size_t used{0};  // of `frames`, by this batch
  std::array<sys::Packet, kSlots> packets;
};

SystemPacketIo::SystemPacketIo(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SystemPacketIo::~SystemPacketIo() = default;

Result<std::unique_ptr<SystemPacketIo>> SystemPacketIo::open(const sys::Executor& executor,
                                                             const sys::UdpEndpoint& address,
                                                             const sys::UdpEndpoint& other) {
  auto udp = UdpSocket::bind(address);
  if (!udp) return pass(udp);
  Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno(errno, "open an epoll set");
  const auto watched = watch(epoll.get(), udp->get(), 0);
  if (!watched) return pass(watched);
  auto impl = std::make_unique<Impl>(executor, std::move(*udp), std::move(epoll));
  if (other.ip != sys::UdpEndpoint{}.ip) {
    auto beside = other;
    beside.port = impl->udp.local().port;
    auto second = UdpSocket::bind(beside);
    if (!second) return pass(second);
    const auto seen = watch(impl->epoll.get(), second->get(), kOtherUdp);
    if (!seen) return pass(seen);
    impl->other_udp = std::move(*second);
  }
  return std::unique_ptr<SystemPacketIo>(new SystemPacketIo(std::move(impl)));
}

sys::PortHandle SystemPacketIo::attach(int descriptor) {
  auto& devices = impl_->devices;
  auto free = std::find_if(devices.begin(), devices.end(), [](const Descriptor& each) { return !each; });
  if (free == devices.end()) free = devices.emplace(free);
  *free = Descriptor(descriptor);
  const auto handle = static_cast<sys::PortHandle>(free - devices.begin() + 1);
  // Where it fails the device is deaf, as one without a cable.
  [[maybe_unused]] const auto watched = watch(impl_->epoll.get(), descriptor, handle);
  return handle;
}

void SystemPacketIo::detach(sys::PortHandle port) { impl_->devices.at(port - 1).reset(); }

sys::UdpEndpoint SystemPacketIo::local() const { return impl_->udp.local(); }

sys::Task<Result<>> SystemPacketIo::wait_readable() {
  const auto [error] = co_await impl_->ready.async_wait(boost::asio::posix::descriptor_base::wait_read, kAwait);
  if (error) {
    co_await unless_cancelled();
    co_return failure(error, "wait for packets");
  }
  co_return Result<>{};
}

std::span<sys::Packet> SystemPacketIo::receive() {
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(impl_->epoll.get(), events.data(), static_cast<int>(events.size()), 0);
  impl_->used = 0;
  std::size_t filled = 0;
  for (int i = 0; i < count; ++i) {
    const auto handle = events[static_cast<std::size_t>(i)].data.u32;
    const auto free = std::span(impl_->packets).subspan(filled);
    if (handle == 0) {
      filled += impl_->udp.receive(free, impl_->counts);
    } else if (handle == kOtherUdp) {
      filled += impl_->other_udp->receive(free, impl_->counts);
    } else {
      filled += impl_->read_device(handle, filled);
    }
  }
  return std::span(impl_->packets).first(filled);
}

// One after the other into one memory: small frames lie close together, a super-frame takes what it needs.
std::size_t SystemPacketIo::Impl::read_device(sys::PortHandle handle, std::size_t filled) {
  const int device = devices[handle - 1].get();
  const auto most = std::min(kFramesADevice, kSlots - filled);
  std::size_t kept = 0;
  while (kept < most && used < kFrameBytesABatch) {
    const auto room = ByteSpan(frames).subspan(used, sizeof(VnetHeader) + sys::kFrameLimit + 1);
    const auto size = ::read(device, room.data(), room.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != EAGAIN) ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, device, nullptr);  // the device is gone
    if (size <= 0) break;
    const auto whole = static_cast<std::size_t>(size);
    if (whole == room.size() || whole < sizeof(VnetHeader)) {
      ++counts.truncated;
      continue;
    }
    VnetHeader header;
    std::memcpy(&header, room.data(), sizeof header);
    packets[filled + kept] = {handle, {}, room.first(whole).subspan(sizeof header), from_vnet(header), 0};
    used += whole;
    ++kept;
  }
  return kept;
}

void SystemPacketIo::send(std::span<const sys::OutPacket> out) {
  for (const auto& packet : out) {
    if (packet.port == 0) {
      const bool other = impl_->other_udp && impl_->other_udp->reaches(packet.peer);
      (other ? *impl_->other_udp : impl_->udp).send(packet, impl_->counts);
    } else {
      impl_->write_device(packet);
    }
  }
  impl_->udp.flush(impl_->counts);
  if (impl_->other_udp) impl_->other_udp->flush(impl_->counts);
}

void SystemPacketIo::Impl::write_device(const sys::OutPacket& packet) {
  auto header = to_vnet(packet.offload);
  const std::array<iovec, 2> parts{iovec{&header, sizeof header},
                                   iovec{const_cast<std::byte*>(packet.bytes.data()), packet.bytes.size()}};
  if (::writev(devices[packet.port - 1].get(), parts.data(), parts.size()) < 0) ++counts.refused;
}

sys::PacketCounts SystemPacketIo::counts() const { return impl_->counts; }

}  // namespace godwit::os
