// Streams between simulated hosts: identities instead of TLS, with the same refusals.
#pragma once

#include "sim/connection.h"
#include "sim/host.h"

#include <deque>
#include <optional>

namespace godwit::sim {

inline constexpr Seconds kConnectLimit{5};  // as os::kHandshakeLimit

// A connection whose handshake is over, and who has dialled.
struct Incoming {
  std::shared_ptr<Connection> connection;
  sys::PeerIdentity peer;
  std::string remote;
};

// A TCP port of a host, for peers and for HTTP.
class TcpListening final {
 public:
  // Whether a dialer that shows `identity` may come in, and as whom. Errors: not_authentic.
  using Admission = std::function<Result<sys::PeerIdentity>(const Identity& identity)>;

  static Result<std::shared_ptr<TcpListening>> open(const sys::Executor& executor, Process& process, std::uint16_t port,
                                                    Admission admit, std::string network_namespace = {});
  TcpListening(const sys::Executor& executor, Process& process, std::uint16_t port, Admission admit,
               std::string network_namespace);
  ~TcpListening();
  TcpListening(const TcpListening&) = delete;
  TcpListening& operator=(const TcpListening&) = delete;
  void close();
  [[nodiscard]] static sys::Task<Result<Incoming>> accept(std::shared_ptr<TcpListening> at);

  Process& process;
  std::uint16_t port;
  std::string network_namespace;  // empty: the host's own
  Admission admit;
  std::deque<Incoming> backlog;
  bool closed{false};
  sys::Executor executor;
  sys::Signal changed;
};

// Which certificates are believed.
class Trust final {
 public:
  void set(std::vector<sys::TrustedCa> authorities) { authorities_ = std::move(authorities); }
  // Errors: not_authentic: date, CA, or a name that is not of that CA's cloud.
  [[nodiscard]] Result<sys::PeerIdentity> check(const Identity& shown) const;

 private:
  std::vector<sys::TrustedCa> authorities_;
};

// TCP and handshake with `host` and `port`, at the prices of the network in between. `check` sees the listener's
// identity first. Errors: unavailable, timed_out, not_authentic.
[[nodiscard]] sys::Task<Result<Incoming>> dial_tcp(Process& process, std::string host, std::uint16_t port,
                                                   TcpListening::Admission check);

class SimPeerNetwork final : public sys::PeerNetwork {
 public:
  SimPeerNetwork(sys::Executor executor, Process& process);
  void trust(std::vector<sys::TrustedCa> authorities) override { trust_->set(std::move(authorities)); }
  [[nodiscard]] sys::Task<Result<std::unique_ptr<sys::PeerStream>>> dial(sys::PeerAddress address) override;
  [[nodiscard]] Result<std::unique_ptr<sys::PeerListener>> listen(const std::string& host, std::uint16_t port) override;

 private:
  sys::Executor executor_;
  Process& process_;
  std::shared_ptr<Trust> trust_;  // shared with listeners
};

}  // namespace godwit::sim
