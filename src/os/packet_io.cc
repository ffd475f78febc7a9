#include "os/packet_io.h"

#include "os/awaiting.h"
#include "os/descriptor.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>

namespace godwit::os {
namespace {

constexpr std::size_t kDatagrams = 64;      // a recvmmsg or sendmmsg
constexpr std::size_t kFrames = 64;         // of all devices in one batch
constexpr std::size_t kFramesADevice = 32;  // so that a busy one doesn't keep the others waiting
constexpr std::size_t kSlots = kDatagrams + kFrames;
constexpr std::size_t kSlotBytes = sys::kPacketHeadroom + kPacketBytes + sys::kPacketTailroom;
constexpr int kSocketBufferBytes = 4 * 1024 * 1024;

socklen_t to_sockaddr(const sys::UdpEndpoint& endpoint, bool v4, sockaddr_storage& out) {
  if (v4) {
    auto& address = reinterpret_cast<sockaddr_in&>(out);
    address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    std::memcpy(&address.sin_addr, endpoint.ip.data() + 12, 4);
    return sizeof(sockaddr_in);
  }
  auto& address = reinterpret_cast<sockaddr_in6&>(out);
  address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  std::memcpy(&address.sin6_addr, endpoint.ip.data(), 16);
  return sizeof(sockaddr_in6);
}

sys::UdpEndpoint from_sockaddr(const sockaddr_storage& from) {
  sys::UdpEndpoint out;
  if (from.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(from);
    out.ip[10] = out.ip[11] = std::byte{0xff};
    std::memcpy(out.ip.data() + 12, &address.sin_addr, 4);
    out.port = ntohs(address.sin_port);
  } else if (from.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(from);
    std::memcpy(out.ip.data(), &address.sin6_addr, 16);
    out.port = ntohs(address.sin6_port);
  }
  return out;
}

// The full size where we may, else what the system allows.
void widen_buffer(int socket, int forced, int polite) {
  const int size = kSocketBufferBytes;
  if (::setsockopt(socket, SOL_SOCKET, forced, &size, sizeof size) != 0) {
    ::setsockopt(socket, SOL_SOCKET, polite, &size, sizeof size);
  }
}

Result<Descriptor> bind_udp(const sys::UdpEndpoint& address) {
  const bool v4 = sys::is_ipv4(address);
  Descriptor socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "open a UDP socket");
  sockaddr_storage where{};
  const auto size = to_sockaddr(address, v4, where);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&where), size) != 0) {
    const int error = errno;
    auto failure = fail_errno(error, fmt::format("listen at UDP {}", sys::to_string(address)));
    if (error == EADDRINUSE) failure.error().code = Errc::conflict;
    if (error == EADDRNOTAVAIL) failure.error().message += ": --underlay must be an address of this host";
    return failure;
  }
  widen_buffer(socket.get(), SO_RCVBUFFORCE, SO_RCVBUF);
  widen_buffer(socket.get(), SO_SNDBUFFORCE, SO_SNDBUF);
  return socket;
}

Result<> watch(int epoll, int descriptor, sys::PortHandle handle) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = handle;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) return fail_errno(errno, "watch a packet device");
  return {};
}

}  // namespace

struct SystemPacketIo::Impl {
  Impl(const sys::Executor& executor, Descriptor udp_socket, Descriptor epoll_set);

  // Returns how many more slots are filled.
  std::size_t receive_datagrams(std::size_t filled);
  std::size_t read_device(sys::PortHandle handle, std::size_t filled);
  void send_datagrams(std::size_t count);

  Descriptor udp;
  Descriptor epoll;
  boost::asio::posix::stream_descriptor ready;  // a duplicate of `epoll`, for the event loop to wait on
  bool v4{true};
  std::vector<Descriptor> devices;  // by handle - 1
  sys::PacketCounts counts;

  std::vector<std::byte> memory;
  std::array<sys::Packet, kSlots> packets;
  std::array<sockaddr_storage, kDatagrams> addresses{};
  std::array<iovec, kDatagrams> vectors{};
  std::array<mmsghdr, kDatagrams> headers{};
};

SystemPacketIo::Impl::Impl(const sys::Executor& executor, Descriptor udp_socket, Descriptor epoll_set)
    : udp(std::move(udp_socket)),
      epoll(std::move(epoll_set)),
      ready(executor, ::fcntl(epoll.get(), F_DUPFD_CLOEXEC, 0)),
      memory(kSlots * kSlotBytes) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(udp.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  v4 = bound.ss_family == AF_INET;
  for (std::size_t i = 0; i < kSlots; ++i) packets[i].room = ByteSpan(memory).subspan(i * kSlotBytes, kSlotBytes);
}

SystemPacketIo::SystemPacketIo(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SystemPacketIo::~SystemPacketIo() = default;

Result<std::unique_ptr<SystemPacketIo>> SystemPacketIo::open(const sys::Executor& executor,
                                                             const sys::UdpEndpoint& address) {
  auto udp = bind_udp(address);
  if (!udp) return pass(udp);
  Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno(errno, "open an epoll set");
  const auto watched = watch(epoll.get(), udp->get(), 0);
  if (!watched) return pass(watched);
  auto impl = std::make_unique<Impl>(executor, std::move(*udp), std::move(epoll));
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

sys::UdpEndpoint SystemPacketIo::local() const {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(impl_->udp.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  return from_sockaddr(bound);
}

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
  std::size_t filled = 0;
  for (int i = 0; i < count; ++i) {
    const auto handle = events[static_cast<std::size_t>(i)].data.u32;
    filled += handle == 0 ? impl_->receive_datagrams(filled) : impl_->read_device(handle, filled);
  }
  return std::span(impl_->packets).first(filled);
}

std::size_t SystemPacketIo::Impl::receive_datagrams(std::size_t filled) {
  const auto most = std::min(kDatagrams, kSlots - filled);
  if (most == 0) return 0;
  for (std::size_t i = 0; i < most; ++i) {
    vectors[i] = {packets[filled + i].room.data() + sys::kPacketHeadroom, kPacketBytes};
    headers[i].msg_hdr = {&addresses[i], sizeof addresses[i], &vectors[i], 1, nullptr, 0, 0};
  }
  const int count = ::recvmmsg(udp.get(), headers.data(), static_cast<unsigned>(most), MSG_DONTWAIT, nullptr);
  std::size_t kept = 0;
  for (std::size_t i = 0; count > 0 && i < static_cast<std::size_t>(count); ++i) {
    if ((headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
      ++counts.truncated;
      continue;
    }
    // A truncated one before it leaves a gap: the packets keep their slots, and swap places.
    if (kept != i) std::swap(packets[filled + kept], packets[filled + i]);
    auto& packet = packets[filled + kept];
    packet.port = 0;
    packet.peer = from_sockaddr(addresses[i]);
    packet.begin = sys::kPacketHeadroom;
    packet.size = headers[i].msg_len;
    ++kept;
  }
  return kept;
}

std::size_t SystemPacketIo::Impl::read_device(sys::PortHandle handle, std::size_t filled) {
  const int device = devices[handle - 1].get();
  const auto most = std::min(kFramesADevice, kSlots - filled);
  std::size_t kept = 0;
  while (kept < most) {
    auto& packet = packets[filled + kept];
    const auto size = ::read(device, packet.room.data() + sys::kPacketHeadroom, kPacketBytes);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != EAGAIN) ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, device, nullptr);  // the device is gone
    if (size <= 0) break;
    if (static_cast<std::size_t>(size) == kPacketBytes) {
      ++counts.truncated;
      continue;
    }
    packet.port = handle;
    packet.peer = {};
    packet.begin = sys::kPacketHeadroom;
    packet.size = static_cast<std::size_t>(size);
    ++kept;
  }
  return kept;
}

void SystemPacketIo::send(std::span<const sys::OutPacket> out) {
  std::size_t datagrams = 0;
  for (const auto& packet : out) {
    if (packet.port != 0) {
      const int device = impl_->devices[packet.port - 1].get();
      if (::write(device, packet.bytes.data(), packet.bytes.size()) < 0) ++impl_->counts.refused;
      continue;
    }
    if (impl_->v4 != sys::is_ipv4(packet.peer)) {
      ++impl_->counts.refused;
      continue;
    }
    auto& address = impl_->addresses[datagrams];
    const auto size = to_sockaddr(packet.peer, impl_->v4, address);
    impl_->vectors[datagrams] = {const_cast<std::byte*>(packet.bytes.data()), packet.bytes.size()};
    impl_->headers[datagrams].msg_hdr = {&address, size, &impl_->vectors[datagrams], 1, nullptr, 0, 0};
    if (++datagrams == kDatagrams) {
      impl_->send_datagrams(datagrams);
      datagrams = 0;
    }
  }
  if (datagrams > 0) impl_->send_datagrams(datagrams);
}

void SystemPacketIo::Impl::send_datagrams(std::size_t count) {
  std::size_t sent = 0;
  while (sent < count) {
    const int now = ::sendmmsg(udp.get(), headers.data() + sent, static_cast<unsigned>(count - sent), MSG_DONTWAIT);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) ++counts.refused;  // the first of them: no route, or the queue is full
    sent += now > 0 ? static_cast<std::size_t>(now) : 1;
  }
}

sys::PacketCounts SystemPacketIo::counts() const { return impl_->counts; }

}  // namespace godwit::os
