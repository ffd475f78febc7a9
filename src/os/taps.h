// TAP devices through /dev/net/tun.
#pragma once

#include "sys/files.h"

namespace godwit::os {

// The device is gone as soon as the last descriptor of it is closed: nothing is left when QEMU dies.
class SystemTaps final : public sys::Taps {
 public:
  // IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, and IFF_MULTI_QUEUE for several queues, up, in the network namespace of this
  // thread.
  [[nodiscard]] Result<std::vector<int>> open_for_guest(const std::string& name, unsigned mtu,
                                                        unsigned queues) override;
  void close_descriptor(int descriptor) override;
};

}  // namespace godwit::os
