#include "os/udp_socket.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace godwit::os {
namespace {

constexpr int kSocketBufferBytes = 4 * 1024 * 1024;

socklen_t to_sockaddr(const sys::UdpEndpoint& endpoint, bool as_v4, sockaddr_storage& out) {
  if (as_v4) {
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

// Don't fragment, and don't remember what routers say. Of the family that a socket isn't, it is refused.
void forbid_fragments(int socket) {
  const int v4 = IP_PMTUDISC_PROBE;
  const int v6 = IPV6_PMTUDISC_PROBE;
  ::setsockopt(socket, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof v4);
  ::setsockopt(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof v6);
}

// How long each datagram of a message is; 0: it is one.
std::size_t segment_of(msghdr& message) {
  for (auto* each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_UDP || each->cmsg_type != UDP_GRO) continue;
    int segment = 0;
    std::memcpy(&segment, CMSG_DATA(each), sizeof segment);
    return segment > 0 ? static_cast<std::size_t>(segment) : 0;
  }
  return 0;
}

void ask_for_segments(msghdr& message, std::span<char> control, std::size_t segment) {
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
  auto* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto size = static_cast<std::uint16_t>(segment);
  std::memcpy(CMSG_DATA(header), &size, sizeof size);
}

}  // namespace

Result<UdpSocket> UdpSocket::bind(const sys::UdpEndpoint& address) {
  const bool v4 = sys::is_ipv4(address);
  Descriptor socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "open a UDP socket");
  const bool any = std::ranges::all_of(address.ip, [](std::byte each) { return each == std::byte{0}; });
  const int only = any ? 0 : 1;
  if (!v4) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  sockaddr_storage where{};
  const auto size = to_sockaddr(address, v4, where);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&where), size) != 0) {
    const int error = errno;
    auto failure = fail_errno(error, fmt::format("listen at UDP {}", sys::to_string(address)));
    if (error == EADDRINUSE) failure.error().code = Errc::conflict;
    if (error == EADDRNOTAVAIL) failure.error().message += ": --underlay must be an address of this host";
    return failure;
  }
  forbid_fragments(socket.get());
  widen_buffer(socket.get(), SO_RCVBUFFORCE, SO_RCVBUF);
  widen_buffer(socket.get(), SO_SNDBUFFORCE, SO_SNDBUF);
  const int on = 1;  // refused before Linux 5.0: then each datagram comes alone
  ::setsockopt(socket.get(), SOL_UDP, UDP_GRO, &on, sizeof on);
  return UdpSocket(std::move(socket), v4 || any, !v4);
}

UdpSocket::UdpSocket(Descriptor socket, bool v4, bool v6)
    : socket_(std::move(socket)),
      v4_(v4),
      v6_(v6),
      memory_(kMessages * kSlotBytes),
      in_(std::make_unique<Slots>()),
      out_(std::make_unique<Slots>()) {}

sys::UdpEndpoint UdpSocket::local() const {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  return from_sockaddr(bound);
}

std::size_t UdpSocket::receive(std::span<sys::Packet> packets, sys::PacketCounts& counts) {
  auto& slots = *in_;
  const auto most = std::min(kMessages, packets.size());
  if (most == 0) return 0;
  for (std::size_t i = 0; i < most; ++i) {
    slots.vectors[i] = {memory_.data() + i * kSlotBytes, kMessageBytes};
    slots.headers[i].msg_hdr = {&slots.addresses[i],
                                sizeof slots.addresses[i],
                                &slots.vectors[i],
                                1,
                                slots.controls[i].data(),
                                kControlBytes,
                                0};
  }
  const int count = ::recvmmsg(socket_.get(), slots.headers.data(), static_cast<unsigned>(most), MSG_DONTWAIT, nullptr);
  std::size_t kept = 0;
  for (std::size_t i = 0; count > 0 && i < static_cast<std::size_t>(count); ++i) {
    auto& message = slots.headers[i].msg_hdr;
    if ((message.msg_flags & MSG_TRUNC) != 0) {
      ++counts.truncated;
      continue;
    }
    const ByteSpan bytes(memory_.data() + i * kSlotBytes, slots.headers[i].msg_len);
    packets[kept++] = {0, from_sockaddr(slots.addresses[i]), bytes, {}, segment_of(message)};
  }
  return kept;
}

void UdpSocket::send(const sys::OutPacket& packet, sys::PacketCounts& counts) {
  if (!reaches(packet.peer)) {
    ++counts.refused;
    return;
  }
  auto& slots = *out_;
  const auto at = pending_++;
  const auto size = to_sockaddr(packet.peer, !v6_, slots.addresses[at]);
  slots.vectors[at] = {const_cast<std::byte*>(packet.bytes.data()), packet.bytes.size()};
  slots.segments[at] = packet.segment != 0 && packet.segment < packet.bytes.size() ? packet.segment : 0;
  auto& message = slots.headers[at].msg_hdr;
  message = {&slots.addresses[at], size, &slots.vectors[at], 1, nullptr, 0, 0};
  if (slots.segments[at] != 0) ask_for_segments(message, slots.controls[at], packet.segment);
  // A message that the kernel won't cut is cut here: those before it go first.
  if (pending_ == kMessages || (slots.segments[at] != 0 && !gso_)) flush(counts);
}

void UdpSocket::flush(sys::PacketCounts& counts) {
  auto& slots = *out_;
  for (std::size_t sent = 0; sent < pending_;) {
    if (slots.segments[sent] != 0 && !gso_) {
      send_singly(sent++, counts);
      continue;
    }
    const auto left = static_cast<unsigned>(pending_ - sent);
    const int now = ::sendmmsg(socket_.get(), slots.headers.data() + sent, left, MSG_DONTWAIT);
    if (now > 0) sent += static_cast<std::size_t>(now);
    if (now >= 0 || errno == EINTR) continue;
    // EIO: a device that can't do checksums, so no segments either. EINVAL: more than this kernel cuts of one message.
    const bool uncut = slots.segments[sent] != 0 && (errno == EIO || errno == EINVAL);
    if (uncut && errno == EIO) gso_ = false;
    if (uncut) send_singly(sent, counts);
    if (!uncut) count_refusal(errno, counts);
    ++sent;
  }
  pending_ = 0;
}

// No route, the queue is full; or it is longer than the link's MTU, as probes for a path's are.
void UdpSocket::count_refusal(int error, sys::PacketCounts& counts) {
  ++(error == EMSGSIZE ? counts.too_long : counts.refused);
}

void UdpSocket::send_singly(std::size_t at, sys::PacketCounts& counts) {
  auto& slots = *out_;
  auto message = slots.headers[at].msg_hdr;
  message.msg_control = nullptr;
  message.msg_controllen = 0;
  ByteView rest(static_cast<const std::byte*>(slots.vectors[at].iov_base), slots.vectors[at].iov_len);
  while (!rest.empty()) {
    const auto datagram = rest.first(std::min(slots.segments[at], rest.size()));
    iovec vector{const_cast<std::byte*>(datagram.data()), datagram.size()};
    message.msg_iov = &vector;
    if (::sendmsg(socket_.get(), &message, MSG_DONTWAIT) < 0) count_refusal(errno, counts);
    rest = rest.subspan(datagram.size());
  }
}

}  // namespace godwit::os
