// One UDP socket that moves many datagrams a system call: recvmmsg and sendmmsg, and in each message up to 64 KiB of
// datagrams of one peer (UDP_SEGMENT, UDP_GRO: udp(7)). Where the kernel refuses those, one datagram a message. Nothing
// is fragmented, here or on the way, and what ICMP says of the way's MTU is not believed: who sends finds it out.
#pragma once

#include "os/descriptor.h"
#include "sys/packet.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

namespace godwit::os {

class UdpSocket {
 public:
  static constexpr std::size_t kMessages = 32;  // of a recvmmsg or sendmmsg
  static constexpr std::size_t kMessageBytes = 64UL * 1024;

  // An IPv6 socket is of that family alone, but for [::], which is of both. Errors: conflict (the port is taken), io.
  [[nodiscard]] static Result<UdpSocket> bind(const sys::UdpEndpoint& address);

  // Fills at most min(kMessages, packets.size()) with what is there; they borrow this socket's buffers until the next
  // call. Returns how many.
  [[nodiscard]] std::size_t receive(std::span<sys::Packet> packets, sys::PacketCounts& counts);
  // Puts it into the next message, which goes out with flush(), or when kMessages are together. Borrowed until then.
  void send(const sys::OutPacket& packet, sys::PacketCounts& counts);
  void flush(sys::PacketCounts& counts);

  [[nodiscard]] bool reaches(const sys::UdpEndpoint& endpoint) const { return sys::is_ipv4(endpoint) ? v4_ : v6_; }
  [[nodiscard]] int get() const { return socket_.get(); }
  [[nodiscard]] sys::UdpEndpoint local() const;

 private:
  // Slots are not a power of two apart: their beginnings, which are what small datagrams touch, share no cache sets.
  static constexpr std::size_t kSlotBytes = kMessageBytes + 2112;
  static constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(int));

  struct Slots {
    std::array<sockaddr_storage, kMessages> addresses{};
    std::array<iovec, kMessages> vectors{};
    std::array<mmsghdr, kMessages> headers{};
    alignas(cmsghdr) std::array<std::array<char, kControlBytes>, kMessages> controls{};
    std::array<std::size_t, kMessages> segments{};  // of what is to be sent
  };

  UdpSocket(Descriptor socket, bool v4, bool v6);
  static void count_refusal(int error, sys::PacketCounts& counts);
  // After an error of the message `at`: goes on with its datagrams one by one where that helps.
  void send_singly(std::size_t at, sys::PacketCounts& counts);

  Descriptor socket_;
  bool v4_;  // takes endpoints of IPv4
  bool v6_;
  bool gso_{true};
  std::size_t pending_{0};
  ByteVector memory_;
  std::unique_ptr<Slots> in_;
  std::unique_ptr<Slots> out_;
};

}  // namespace godwit::os
