// The receiving end of a tunnel: beside the host that guests come to. Each connection from the sending end goes on to
// the unix socket of that channel, on which QEMU or libvirt of this host listens. Format: docs/protocols/tunnel.md.
#pragma once

#include "sys/runtime.h"

#include "tunnel/carrying.h"
#include "tunnel/sockets.h"
#include <memory>

namespace godwit::tunnel {

// QEMU listens a moment before libvirt lets the source begin; a socket that is not there by then won't come.
inline constexpr Seconds kPatience{10};
// A migration's state stays so long after its last connection: the sending end may be dialing one more.
inline constexpr Seconds kLinger{45};
inline constexpr std::size_t kConnections = 1024;

struct ReceiverConfig {
  Sockets sockets;  // to dial
  std::string host;
  std::uint16_t port{0};            // 0: any free one
  std::vector<std::string> from;    // names of peers that may send; empty: all that the CA vouches for
  std::string tenant{"default"};    // a label, as at the sending end
  std::vector<std::string> images;  // that this end has, as Images::digests() says them
};

// One strand. A connection that is refused is told why, and logged. One migration at a time for each guest's sockets.
class Receiver final {
 public:
  // `encodings` is not empty.
  Receiver(sys::Runtime runtime, ReceiverConfig config, Encodings encodings);
  ~Receiver();
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // The port. Errors: invalid_argument, and those of PeerNetwork::listen().
  [[nodiscard]] Result<std::uint16_t> start();
  // Cuts what is still crossing.
  [[nodiscard]] sys::Task<void> stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::tunnel
