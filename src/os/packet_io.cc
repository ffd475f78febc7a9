#include "os/packet_io.h"

#include "os/awaiting.h"
#include "os/descriptor.h"
#include "os/flow_steering.h"
#include "os/udp_socket.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <optional>

namespace godwit::os {
namespace {

constexpr std::size_t kFrames = 128;       // of all devices in one batch
constexpr std::size_t kFramesAQueue = 64;  // so that a busy one doesn't keep the others waiting
constexpr std::size_t kSlots = 2 * UdpSocket::kMessages + kFrames;
constexpr std::size_t kReady = 64;  // that are looked at in one batch
// Of super-frames a batch needs no more: what is read stays in the processor's cache until it is sent.
constexpr std::size_t kFrameBytesABatch = 256UL * 1024;
constexpr std::size_t kFrameMemory = kFrameBytesABatch + sys::PacketDevice::kRoomBytes;

// What is readable, in the epoll set: a socket, or a queue of a device.
struct Source {
  sys::PortHandle port{0};  // 0: a socket
  std::uint32_t queue{0};   // a device's; of the sockets, which

  bool operator==(const Source&) const = default;
};
constexpr Source kUdp{0, 0};
constexpr Source kOtherUdp{0, 1};

std::uint64_t pack(Source source) { return std::uint64_t{source.port} << 32U | source.queue; }
Source unpack(std::uint64_t word) {
  return {static_cast<sys::PortHandle>(word >> 32U), static_cast<std::uint32_t>(word)};
}

Result<> watch(int epoll, int descriptor, Source source) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = pack(source);
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

  struct Device {
    std::unique_ptr<sys::PacketDevice> device;  // nothing: the place is free
    std::unique_ptr<FlowSteering> steering;     // where it has several queues
    bool written{false};                        // since it was flushed
  };

  // Puts first what got no turn in the last batch.
  void take_turns(std::span<epoll_event> events) const;
  // Returns how many more packets there are.
  std::size_t read_queue(Source source, bool broken, std::size_t filled);
  [[nodiscard]] bool is_full() const { return frames_read >= kFrames || used >= kFrameBytesABatch; }
  void write_device(const sys::OutPacket& packet);
  void flush_devices();

  UdpSocket udp;
  std::optional<UdpSocket> other_udp;
  Descriptor epoll;
  boost::asio::posix::stream_descriptor ready;  // a duplicate of `epoll`, for the event loop to wait on
  std::vector<Device> devices;                  // by handle - 1
  std::vector<sys::PortHandle> written;         // since they were flushed
  sys::PacketCounts counts;

  ByteVector frames;
  std::size_t used{0};         // of `frames`, by this batch
  std::size_t frames_read{0};  // by this batch
  Source next{};               // whose turn it was when the last batch was full; a socket: nobody's
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
  const auto watched = watch(epoll.get(), udp->get(), kUdp);
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

sys::PortHandle SystemPacketIo::attach(std::unique_ptr<sys::PacketDevice> device) {
  auto& devices = impl_->devices;
  auto free = std::ranges::find_if(devices, [](const auto& place) { return !place.device; });
  if (free == devices.end()) free = devices.emplace(free);
  const auto handle = static_cast<sys::PortHandle>(free - devices.begin() + 1);
  const auto queues = device->queues();
  for (std::uint32_t queue = 0; queue < queues.size(); ++queue) {
    // Where it fails the queue is deaf, as one without a cable.
    [[maybe_unused]] const auto watched = watch(impl_->epoll.get(), queues[queue], {handle, queue});
  }
  if (queues.size() > 1) free->steering = std::make_unique<FlowSteering>(queues.size());
  free->device = std::move(device);
  return handle;
}

void SystemPacketIo::detach(sys::PortHandle port) {
  auto& place = impl_->devices.at(port - 1);
  // The device may have them open elsewhere too: then they would stay in the set.
  for (const int each : place.device->queues()) ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_DEL, each, nullptr);
  place = {};
}

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
  std::array<epoll_event, kReady> events{};
  const int count = ::epoll_wait(impl_->epoll.get(), events.data(), static_cast<int>(events.size()), 0);
  const auto ready = std::span(events).first(static_cast<std::size_t>(std::max(count, 0)));
  impl_->take_turns(ready);
  impl_->next = {};
  impl_->used = impl_->frames_read = 0;
  std::size_t filled = 0;
  for (const auto& event : ready) {
    const auto source = unpack(event.data.u64);
    const auto free = std::span(impl_->packets).subspan(filled);
    if (source == kUdp) {
      filled += impl_->udp.receive(free, impl_->counts);
    } else if (source == kOtherUdp) {
      filled += impl_->other_udp->receive(free, impl_->counts);
    } else if (!impl_->is_full()) {
      filled += impl_->read_queue(source, (event.events & (EPOLLERR | EPOLLHUP)) != 0, filled);
    } else if (impl_->next.port == 0) {
      impl_->next = source;
    }
  }
  return std::span(impl_->packets).first(filled);
}

// epoll tells them in the same order again and again, for as long as all of them stay readable.
void SystemPacketIo::Impl::take_turns(std::span<epoll_event> events) const {
  const auto first = std::ranges::find(events, next, [](const auto& event) { return unpack(event.data.u64); });
  if (next.port != 0 && first != events.end()) std::ranges::rotate(events, first);
}

// One after the other into one memory: small frames lie close together, a super-frame takes what it needs.
std::size_t SystemPacketIo::Impl::read_queue(Source source, bool broken, std::size_t filled) {
  auto& [device, steering, is_written] = devices[source.port - 1];
  std::size_t kept = 0;
  while (kept < kFramesAQueue && !is_full()) {
    const auto frame = device->read(source.queue, ByteSpan(frames).subspan(used, sys::PacketDevice::kRoomBytes));
    if (!frame) {
      // Its other end is gone for good: it would be readable for ever.
      if (broken) ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, device->queues()[source.queue], nullptr);
      break;
    }
    if (frame->bytes.empty()) {
      ++counts.truncated;
      continue;
    }
    if (steering) steering->came(frame->bytes, source.queue);
    packets[filled + kept] = {source.port, {}, frame->bytes, frame->offload, 0};
    used += frame->room_bytes;
    ++frames_read;
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
  impl_->flush_devices();
}

void SystemPacketIo::Impl::write_device(const sys::OutPacket& packet) {
  auto& [device, steering, is_written] = devices[packet.port - 1];
  const auto queue = steering ? steering->queue_for(packet.bytes) : std::size_t{0};
  if (!device->write(queue, packet.bytes, packet.offload)) ++counts.refused;
  if (!std::exchange(is_written, true)) written.push_back(packet.port);
}

void SystemPacketIo::Impl::flush_devices() {
  for (const auto port : written) {
    auto& place = devices[port - 1];
    place.device->flush();
    place.written = false;
  }
  written.clear();
}

sys::PacketCounts SystemPacketIo::counts() const { return impl_->counts; }

}  // namespace godwit::os
