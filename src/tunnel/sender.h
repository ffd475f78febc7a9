// The sending end of a tunnel: beside the host that guests leave. Its unix sockets stand in for those that QEMU and
// libvirt of the destination listen on; every connection to them crosses in one of its own. Format:
// docs/protocols/tunnel.md.
#pragma once

#include "sys/runtime.h"

#include "tunnel/carrying.h"
#include "tunnel/sockets.h"
#include <memory>

namespace godwit::tunnel {

struct SenderConfig {
  Sockets sockets;                  // to listen on
  unsigned mode{0600};              // of `memory` and `disk`; that of `libvirt` is 0600
  unsigned owner_uid{};             // of `memory` and `disk`: the user as which QEMU runs; 0: the caller
  sys::PeerAddress to;              // the receiving end
  std::string tenant{"default"};    // a label: nothing is ever saved by what crossed for another one
  std::vector<std::string> images;  // that this end has, as Images::digests() says them
};

// One strand. A connection that can't cross is closed and logged: QEMU or libvirt then fails its migration with the
// guest still running here.
class Sender final {
 public:
  // `encodings` is not empty.
  Sender(sys::Runtime runtime, SenderConfig config, Encodings encodings);
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // Errors: invalid_argument, and those of LocalSockets::listen().
  [[nodiscard]] Result<> start();
  // Cuts what is still crossing.
  [[nodiscard]] sys::Task<void> stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::tunnel
