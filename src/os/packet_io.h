// Packets on Linux: a UDP socket, or one of each family, with recvmmsg and sendmmsg, each message up to 64 KiB of
// datagrams (UDP GSO and GRO, see udp(7)), devices of any kind, one epoll set for all.
#pragma once

#include "sys/packet.h"

#include <memory>

namespace godwit::os {

class SystemPacketIo final : public sys::PacketIo {
 public:
  // Binds the UDP socket to `address`; port 0: any free one. Errors: conflict (the port is taken), io.
  // `other`: an address of the other family, at which it listens too, at the same port.
  [[nodiscard]] static Result<std::unique_ptr<SystemPacketIo>> open(const sys::Executor& executor,
                                                                    const sys::UdpEndpoint& address,
                                                                    const sys::UdpEndpoint& other = {});
  ~SystemPacketIo() override;

  [[nodiscard]] sys::PortHandle attach(std::unique_ptr<sys::PacketDevice> device) override;
  void detach(sys::PortHandle port) override;
  [[nodiscard]] sys::UdpEndpoint local() const override;
  [[nodiscard]] sys::Task<Result<>> wait_readable() override;
  [[nodiscard]] std::span<sys::Packet> receive() override;
  void send(std::span<const sys::OutPacket> packets) override;
  [[nodiscard]] sys::PacketCounts counts() const override;

 private:
  struct Impl;
  explicit SystemPacketIo(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::os
