// The unix sockets at one end of a tunnel, by channel and guest.
#pragma once

#include "tunnel/hello.h"

namespace godwit::tunnel {

// Absolute paths; empty: this channel is not carried. With more guests than one, `memory` and `disk` hold "{}", in
// whose place stands the number of the guest, from 1: a QEMU listens at a path of its own.
struct Sockets {
  std::string memory;
  std::string disk;
  std::string libvirt;
  std::uint32_t guests{1};

  // Errors: invalid_argument, naming the option.
  [[nodiscard]] Result<> check() const;
  // Empty where this channel, or this guest, is not carried. `guest` is of no account for the libvirt channel.
  [[nodiscard]] std::string path(Channel channel, std::uint32_t guest) const;
};

}  // namespace godwit::tunnel
