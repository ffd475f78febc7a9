// What a simulated switch moves packets with: datagrams between hosts, and devices that are names. Guests send no
// frames: what counts here is what switches say to each other, and when a device is there.
#pragma once

#include "sim/host.h"
#include "sys/packet.h"

#include <deque>
#include <memory>

namespace godwit::sim {

// A UDP socket of its host. Datagrams take the network's time; those that meet a cut are lost.
class SimPacketIo final : public sys::PacketIo {
 public:
  // Errors: conflict.
  [[nodiscard]] static Result<std::unique_ptr<SimPacketIo>> open(Process& process, std::uint16_t port);
  ~SimPacketIo() override;

  sys::PortHandle attach(std::unique_ptr<sys::PacketDevice> device) override;
  void detach(sys::PortHandle) override {}
  [[nodiscard]] sys::UdpEndpoint local() const override { return local_; }
  [[nodiscard]] sys::Task<Result<>> wait_readable() override;
  [[nodiscard]] std::span<sys::Packet> receive() override;
  void send(std::span<const sys::OutPacket> packets) override;
  [[nodiscard]] sys::PacketCounts counts() const override { return {}; }

 private:
  SimPacketIo(Process& process, sys::UdpEndpoint local);
  void take(const sys::UdpEndpoint& from, ByteVector bytes);

  Process& process_;
  sys::UdpEndpoint local_;
  sys::PortHandle last_{0};
  std::deque<std::pair<sys::UdpEndpoint, ByteVector>> waiting_;
  ByteVector room_;
  sys::Packet packet_;
  sys::Signal readable_;
};

// The host's devices: they outlive the switch, and end with the host's power.
class SimSwitchLinks final : public sys::SwitchLinks {
 public:
  explicit SimSwitchLinks(Process& process);

  [[nodiscard]] Result<std::unique_ptr<sys::PacketDevice>> open_tap(const std::string& name, std::uint32_t mtu,
                                                                    std::uint32_t queues) override;
  [[nodiscard]] Result<> remove_tap(const std::string& name) override;
  [[nodiscard]] Result<bool> join(const std::string& tap, const std::string& guest, bool promiscuous) override;
  [[nodiscard]] Result<> part(const std::string& guest) override;
  [[nodiscard]] Result<std::unique_ptr<sys::PacketDevice>> open_gateway(const sys::GatewaySpec& spec) override;
  [[nodiscard]] Result<std::unique_ptr<sys::PacketDevice>> open_host_device(const sys::HostDeviceSpec& spec) override;
  [[nodiscard]] Result<> remove_gateway(const std::string& network_namespace) override;
  [[nodiscard]] sys::Task<Result<>> wait_changed() override;

 private:
  Host& host_;
  sys::Signal changed_;
  Host::LinkWatch watch_;
};

}  // namespace godwit::sim
