// The network of the hosts themselves: TCP between their addresses inside the overlay, which their keys give
// (crypto::host_address). What migrations dial where no other way leads to a host. It rides in the same sessions as
// guests' frames, as network 0. Pure.
#pragma once

#include "overlay/counters.h"
#include "overlay/hosts.h"
#include "overlay/outbox.h"

#include <vector>

namespace godwit::overlay {

class HostNetwork {
 public:
  static constexpr std::uint32_t kVni = 0;
  static constexpr std::uint32_t kMtu = 1500;
  // Nobody resolves it: the kernel puts a device's own address into frames that it sends without neighbours.
  static constexpr std::uint64_t kMac = 0x066777000001;
  static constexpr std::size_t kMostPorts = 16;

  // Borrowed.
  HostNetwork(const crypto::PublicKey& own, Hosts& hosts, Counters& counters)
      : own_(crypto::host_address(own)),
        address_text_(crypto::host_address_text(own)),
        hosts_(hosts),
        counters_(counters) {}

  // TCP ports of this host that others may dial.
  void open(std::vector<std::uint16_t> ports) { ports_ = std::move(ports); }
  void attach(sys::PortHandle handle) { handle_ = handle; }
  [[nodiscard]] sys::PortHandle handle() const { return handle_; }  // 0: there is no device
  [[nodiscard]] const std::string& address() const { return address_text_; }

  // From this host's kernel.
  void on_frame(const sys::Packet& packet, Outbox& out);
  // From another host, which is who it says. What it puts into `out` may borrow `bytes`.
  void on_record(PeerId from, const RecordHeader& header, ByteView bytes, Outbox& out);

 private:
  [[nodiscard]] bool may_come_in(ByteView frame) const;

  HostAddress own_;
  std::string address_text_;
  Hosts& hosts_;
  Counters& counters_;
  std::vector<std::uint16_t> ports_;
  sys::PortHandle handle_{0};
};

}  // namespace godwit::overlay
