#include "sim/peer_network.h"

namespace godwit::sim {

Result<sys::PeerIdentity> Trust::check(const Identity& shown) const {
  if (shown.expired) return fail(Errc::not_authentic, "certificate of {}: certificate has expired", shown.name);
  for (const auto& each : authorities_) {
    if (each.pem != authority(shown.signer, each.cloud).pem) continue;
    if (!shown.name.ends_with("." + each.cloud + ".godwit")) {
      return fail(Errc::not_authentic, "certificate of {}: signed by the CA of {}, which cannot name it", shown.name,
                  each.cloud);
    }
    return sys::PeerIdentity{shown.name, each.cloud, shown.key_sha256()};
  }
  return fail(Errc::not_authentic, "certificate of {}: signed by no CA that is trusted here", shown.name);
}

Result<std::shared_ptr<TcpListening>> TcpListening::open(const sys::Executor& executor, Process& process,
                                                         std::uint16_t port, Admission admit,
                                                         std::string network_namespace) {
  Host& host = process.host();
  if (port == 0) port = host.free_port();
  if (host.ports_.contains({network_namespace, port})) {
    return fail(Errc::conflict, "listen on {} port {}: another process has this port", host.ip(), port);
  }
  return std::make_shared<TcpListening>(executor, process, port, std::move(admit), std::move(network_namespace));
}

TcpListening::TcpListening(const sys::Executor& on, Process& of, std::uint16_t which, Admission check,
                           std::string in_namespace)
    : process(of),
      port(which),
      network_namespace(std::move(in_namespace)),
      admit(std::move(check)),
      executor(on),
      changed(on) {
  process.host().ports_[{network_namespace, port}] = this;
}

TcpListening::~TcpListening() { close(); }

void TcpListening::close() {
  if (closed) return;
  closed = true;
  process.host().ports_.erase({network_namespace, port});
  for (const auto& each : backlog) each.connection->leave(1);
  backlog.clear();
  changed.notify();
}

sys::Task<Result<Incoming>> TcpListening::accept(std::shared_ptr<TcpListening> at) {
  while (at->backlog.empty() && !at->closed) co_await at->changed.wait();
  if (at->closed) co_return fail(Errc::cancelled, "accept on port {}: closed on this side", at->port);
  auto incoming = std::move(at->backlog.front());
  at->backlog.pop_front();
  co_return incoming;
}

namespace {

constexpr Seconds kSynRetry{1};

// A round trip; as long as there is a cut, SYNs are repeated. Errors: timed_out.
sys::Task<Result<>> reach(Process& process, Host& to, std::string what) {
  sys::Clock& clock = process.runtime().clock;
  const Network& network = process.world().network();
  const auto limit = clock.now() + kConnectLimit;
  while (network.is_cut(process.host(), to)) {
    if (clock.now() + kSynRetry > limit) co_return fail(Errc::timed_out, "{}: no answer within 5000 ms", what);
    co_await clock.sleep_for(kSynRetry);
  }
  co_await clock.sleep_for(2 * network.delay(process.host(), to));
  co_return Result<>{};
}

}  // namespace

sys::Task<Result<Incoming>> dial_tcp(Process& process, std::string host, std::uint16_t port,
                                     TcpListening::Admission check) {
  const auto what = fmt::format("dial {} port {}", host, port);
  Host* const to = process.world().network().by_ip(host);
  if (!to) {
    co_await process.runtime().clock.sleep_for(kConnectLimit);
    co_return fail(Errc::timed_out, "{}: no answer within 5000 ms", what);
  }
  const auto refused = [&] { return fail(Errc::unavailable, "{}: ECONNREFUSED Connection refused", what); };
  for (int round_trip = 0; round_trip < 2; ++round_trip) {  // TCP's, TLS's
    const auto reached = co_await reach(process, *to, what);
    if (!reached) co_return pass(reached);
    if (!to->listening_on(port)) co_return refused();
  }
  TcpListening& at = *to->listening_on(port);
  auto listener = check(at.process.identity());
  if (!listener) co_return fail(listener, what);
  auto dialer = at.admit(process.identity());
  if (!dialer) co_return fail(dialer, what + ": refused by the other side");
  auto connection = Connection::make(process.world(), process.host(), *to, false);
  Incoming incoming{connection, std::move(*dialer), fmt::format("{}:{}", process.host().ip(), 1024)};
  at.backlog.push_back(std::move(incoming));
  at.changed.notify();
  at.process.touch();
  Incoming ours{std::move(connection), std::move(*listener), host};
  co_return ours;
}

namespace {

using PeerStream = std::unique_ptr<sys::PeerStream>;

sys::Task<Result<PeerStream>> accept_peer(std::shared_ptr<TcpListening> at) {
  auto incoming = co_await TcpListening::accept(at);
  if (!incoming) co_return pass(incoming);
  co_return make_stream(at->executor, std::move(incoming->connection), 1, std::move(incoming->peer), &at->process);
}

class SimPeerListener final : public sys::PeerListener {
 public:
  explicit SimPeerListener(std::shared_ptr<TcpListening> at) : at_(std::move(at)) {}
  ~SimPeerListener() override { at_->close(); }
  sys::Task<Result<PeerStream>> accept() override { return accept_peer(at_); }
  [[nodiscard]] std::uint16_t port() const override { return at_->port; }
  void close() override { at_->close(); }

 private:
  std::shared_ptr<TcpListening> at_;
};

sys::Task<Result<PeerStream>> dial_peer(sys::Executor executor, Process& process, std::shared_ptr<Trust> trust,
                                        sys::PeerAddress address) {
  TcpListening::Admission check = [trust, name = address.name](const Identity& shown) -> Result<sys::PeerIdentity> {
    if (shown.name != name) return fail(Errc::not_authentic, "certificate of {}: dialled as {}", shown.name, name);
    return trust->check(shown);
  };
  auto dialled = co_await dial_tcp(process, address.host, address.port, std::move(check));
  if (!dialled) co_return pass(dialled);
  co_return make_stream(executor, std::move(dialled->connection), 0, std::move(dialled->peer), &process);
}

}  // namespace

SimPeerNetwork::SimPeerNetwork(sys::Executor executor, Process& process)
    : executor_(std::move(executor)), process_(process), trust_(std::make_shared<Trust>()) {}

sys::Task<Result<PeerStream>> SimPeerNetwork::dial(sys::PeerAddress address) {
  return dial_peer(executor_, process_, trust_, std::move(address));
}

Result<std::unique_ptr<sys::PeerListener>> SimPeerNetwork::listen(const std::string&, std::uint16_t port) {
  auto at = TcpListening::open(executor_, process_, port,
                               [trust = trust_](const Identity& shown) { return trust->check(shown); });
  if (!at) return pass(at);
  return std::make_unique<SimPeerListener>(std::move(*at));
}

}  // namespace godwit::sim
