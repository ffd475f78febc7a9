// Makes the devices of this host what the switch's networks want: TAPs joined to the guests' devices, gateways.
#pragma once

#include "base/log.h"
#include "overlay/switch.h"

#include <map>
#include <string>

namespace godwit::overlay {

// The name of the switch's own TAP for a port: the same after a restart, 15 characters.
[[nodiscard]] std::string tap_name(const PortName& port);

// Level-triggered: reconcile() may be called at any time, and again after a failure. One strand.
class Devices {
 public:
  Devices(Switch& core, sys::PacketIo& io, sys::SwitchLinks& links, Log log)
      : core_(core), io_(io), links_(links), log_(std::move(log)) {}

  // Removes what nothing wants, makes what is missing, joins each port whose guest's device is there, and tells the
  // switch. False when something failed that another try may mend (it is logged).
  bool reconcile(TimePoint now);

 private:
  struct Device {
    std::string tap;          // a port's
    std::string guest;        // a port's
    sys::GatewaySpec spec;    // a gateway's
    sys::HostDeviceSpec own;  // this host's
    std::uint32_t mtu{0};
    std::uint32_t queues{1};  // a port's
    sys::PortHandle handle{0};
    std::string complaint;  // logged last, so that it is not logged again and again
  };
  using Wanted = std::map<PortName, Device>;

  [[nodiscard]] Wanted wanted(TimePoint now) const;
  bool remove(const PortName& name, Device& device);
  bool make(const PortName& name, Device& device);
  bool make_port(const PortName& name, Device& device);
  bool make_gateway(const PortName& name, Device& device);
  bool make_own(const PortName& name, Device& device);
  void close(const PortName& name, Device& device);
  bool complain(const PortName& name, Device& device, const Error& error);

  Switch& core_;
  sys::PacketIo& io_;
  sys::SwitchLinks& links_;
  Log log_;
  std::map<PortName, Device> devices_;
};

}  // namespace godwit::overlay
