// TCP between hosts: how sockets are opened and tuned.
#pragma once

#include "os/socket.h"

#include <cstdint>

namespace godwit::os {

struct TcpListen {
  std::string host;  // numeric
  std::uint16_t port{0};
  std::string network_namespace;  // a name under /run/netns; the socket stays there, this thread comes back
  std::string device;             // SO_BINDTODEVICE
};

// A listening, non-blocking socket. Errors: conflict (the address is in use), invalid_argument, not_found (namespace),
// io.
[[nodiscard]] Result<Descriptor> listen_tcp(const TcpListen& where);
[[nodiscard]] int family_of(const Descriptor& socket);
[[nodiscard]] std::uint16_t port_of(const Descriptor& socket);

// Connected and tuned. No limit of its own. Errors: unavailable, timed_out, invalid_argument.
[[nodiscard]] sys::Task<Result<Socket>> dial_tcp(std::string host, std::uint16_t port);

// No Nagle; a peer that is cut off is noticed in about 10 s, idle or not; at most 64 KiB wait unsent in the kernel,
// because QEMU decides its switchover by what we swallow.
void tune(int socket);

// "10.0.0.2:4711", "[fd00::2]:4711" or "unix".
[[nodiscard]] std::string remote_of(int socket);

}  // namespace godwit::os
