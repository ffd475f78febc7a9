// Streams between hosts: mutually authenticated TLS 1.3 over TCP, by the first of a host's addresses that leads to it.
#pragma once

#include "base/log.h"
#include "os/tls.h"
#include "sys/stream.h"
#include "sys/task.h"

#include <memory>

namespace godwit::os {

inline constexpr Seconds kHandshakeLimit{5};   // TCP's and TLS's, each
inline constexpr Millis kOverlayDelay{250};    // the direct way's head start, RFC 8305's between two attempts
inline constexpr std::size_t kHalfOpen = 256;  // handshakes at a time on one listener, with those not yet accepted

class TcpPeerNetwork final : public sys::PeerNetwork {
 public:
  // The clock outlives the network and all that it made.
  TcpPeerNetwork(sys::Executor executor, sys::Clock& clock, Log log);
  ~TcpPeerNetwork() override;

  // What this host shows from now on; without it every handshake fails. Errors: invalid_argument.
  [[nodiscard]] Result<> use_identity(const TlsIdentity& identity);

  // A set that cannot be parsed changes nothing, and is logged.
  void trust(std::vector<sys::TrustedCa> authorities) override;
  [[nodiscard]] sys::Task<Result<std::unique_ptr<sys::PeerStream>>> dial(sys::PeerAddress address) override;
  [[nodiscard]] Result<std::unique_ptr<sys::PeerListener>> listen(const std::string& host, std::uint16_t port) override;

 private:
  sys::Executor executor_;
  sys::Clock& clock_;
  Log log_;
  std::shared_ptr<Tls> tls_;  // shared with listeners and handshakes, which may outlive the network
};

}  // namespace godwit::os
