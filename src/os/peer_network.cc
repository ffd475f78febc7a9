#include "os/peer_network.h"

#include "os/tcp.h"

#include <bit>
#include <deque>

namespace godwit::os {
namespace {

using Stream = std::unique_ptr<sys::PeerStream>;

// Shared by the listener and its coroutines, which end soon after it.
struct Listening {
  Listening(const sys::Executor& executor, sys::Clock& time, Log sink, std::shared_ptr<Tls> contexts,
            Descriptor listening)
      : clock(time),
        log(std::move(sink)),
        tls(std::move(contexts)),
        port(port_of(listening)),
        family(family_of(listening)),
        acceptor(executor, std::move(listening), family, fmt::format("port {}", port)),
        changed(executor),
        gate(executor) {}

  sys::Clock& clock;
  Log log;
  std::shared_ptr<Tls> tls;
  std::uint16_t port;
  int family;
  Acceptor acceptor;
  std::deque<Stream> ready;
  std::size_t shaking{0};
  std::uint64_t refused{0};
  bool closed{false};
  sys::Signal changed;  // ready, shaking or closed
  sys::Gate gate;
};

// Logs 1, 2, 4, 8, … in full: a flood of strangers does not fill the disk.
void note_refused(Listening& at, const Error& error) {
  ++at.refused;
  if (std::has_single_bit(at.refused)) {
    at.log.info("refused a connection ({} so far): {}", at.refused, error.message);
  } else {
    at.log.debug("refused a connection: {}", error.message);
  }
}

// Counted from the moment of accept(), so that a burst cannot pass the limit before its handshakes begin.
struct Shaking {
  explicit Shaking(std::shared_ptr<Listening> listening) : at(std::move(listening)) { ++at->shaking; }
  ~Shaking() {
    --at->shaking;
    at->changed.notify();
  }
  Shaking(const Shaking&) = delete;
  Shaking& operator=(const Shaking&) = delete;
  std::shared_ptr<Listening> at;
};

sys::Task<void> shake_hands(std::unique_ptr<Shaking> counted, Socket socket) {
  const auto at = counted->at;
  tune(socket.native_handle());
  const auto what = "TLS handshake with " + remote_of(socket.native_handle());
  auto stream = co_await sys::within(at->clock, kHandshakeLimit, what, at->tls->accept(std::move(socket)));
  if (stream) {
    at->ready.push_back(std::move(*stream));
  } else {
    note_refused(*at, stream.error());
  }
}

sys::Task<void> accept_all(std::shared_ptr<Listening> at) {
  while (!at->closed) {
    if (at->shaking + at->ready.size() >= kHalfOpen) {
      co_await at->changed.wait();
      continue;
    }
    auto socket = co_await at->acceptor.accept();
    if (!socket) {
      if (!at->closed) at->log.error("{}", socket.error().message);
      co_return;
    }
    at->gate.spawn(shake_hands(std::make_unique<Shaking>(at), std::move(*socket)));
  }
}

sys::Task<Result<Stream>> next_stream(std::shared_ptr<Listening> at) {
  while (at->ready.empty() && !at->closed) co_await at->changed.wait();
  if (at->closed) co_return fail(Errc::cancelled, "accept on port {}: closed on this side", at->port);
  auto stream = std::move(at->ready.front());
  at->ready.pop_front();
  at->changed.notify();
  co_return stream;
}

class TcpPeerListener final : public sys::PeerListener {
 public:
  explicit TcpPeerListener(std::shared_ptr<Listening> at) : at_(std::move(at)) { at_->gate.spawn(accept_all(at_)); }
  ~TcpPeerListener() override { TcpPeerListener::close(); }

  sys::Task<Result<Stream>> accept() override { return next_stream(at_); }
  [[nodiscard]] std::uint16_t port() const override { return at_->port; }
  void close() override {
    at_->closed = true;
    at_->acceptor.close();
    at_->ready.clear();
    at_->changed.notify();
    at_->gate.cancel();
  }

 private:
  std::shared_ptr<Listening> at_;
};

// One address: TCP, then TLS.
sys::Task<Result<Stream>> dial_one(std::shared_ptr<Tls> tls, sys::Clock& clock, std::string host,
                                   sys::PeerAddress address) {
  const auto what = fmt::format("dial {} at {} port {}", address.name, host, address.port);
  auto socket = co_await sys::within(clock, kHandshakeLimit, what, dial_tcp(host, address.port));
  if (!socket) co_return pass(socket);
  auto handshake = tls->connect(std::move(*socket), address.name);
  auto stream = co_await sys::within(clock, kHandshakeLimit, what, std::move(handshake));
  if (stream) co_return std::move(*stream);
  const bool cut = stream.error().code == Errc::io || stream.error().code == Errc::closed;
  if (cut) co_return fail(Errc::unavailable, "{}", stream.error().message);
  co_return pass(stream);
}

// Both ways at once. Shared by whoever waits and by the attempts, of which the loser ends soon after.
struct Race {
  Race(const sys::Executor& executor, std::shared_ptr<Tls> contexts, sys::Clock& time, sys::PeerAddress to)
      : tls(std::move(contexts)), clock(time), address(std::move(to)), changed(executor), gate(executor) {}

  std::shared_ptr<Tls> tls;
  sys::Clock& clock;
  sys::PeerAddress address;
  Result<Stream> direct = fail(Errc::internal, "under way");
  Result<Stream> by_overlay = fail(Errc::internal, "under way");
  std::size_t ended{0};
  sys::Signal changed;
  sys::Gate gate;
};

sys::Task<void> run_direct(std::shared_ptr<Race> race) {
  race->direct = co_await dial_one(race->tls, race->clock, race->address.host, race->address);
  ++race->ended;
  race->changed.notify();
}

sys::Task<void> run_by_overlay(std::shared_ptr<Race> race) {
  if (race->ended == 0) co_await race->changed.wait_until(race->clock, race->clock.now() + kOverlayDelay);
  race->by_overlay = co_await dial_one(race->tls, race->clock, race->address.by_overlay, race->address);
  ++race->ended;
  race->changed.notify();
}

// Whoever stops waiting ends what is under way.
struct Entrant {
  explicit Entrant(std::shared_ptr<Race> in) : race(std::move(in)) {
    race->gate.spawn(run_direct(race));
    race->gate.spawn(run_by_overlay(race));
  }
  ~Entrant() { race->gate.cancel(); }
  Entrant(const Entrant&) = delete;
  Entrant& operator=(const Entrant&) = delete;
  std::shared_ptr<Race> race;
};

sys::Task<Result<Stream>> dial_peer(std::shared_ptr<Tls> tls, sys::Clock& clock, sys::PeerAddress address) {
  if (address.by_overlay.empty()) co_return co_await dial_one(tls, clock, address.host, address);
  const auto executor = co_await boost::asio::this_coro::executor;
  const Entrant entrant(std::make_shared<Race>(executor, tls, clock, std::move(address)));
  auto& race = *entrant.race;
  while (!race.direct && !race.by_overlay && race.ended < 2) co_await race.changed.wait();
  if (race.direct) co_return std::move(race.direct);
  if (race.by_overlay) co_return std::move(race.by_overlay);
  // What is wrong with a certificate says more than what did not answer.
  const bool directly = race.direct.error().code == Errc::not_authentic;
  const auto& cause = directly ? race.direct.error() : race.by_overlay.error();
  co_return fail(cause.code, "{}; {}", race.direct.error().message, race.by_overlay.error().message);
}

}  // namespace

TcpPeerNetwork::TcpPeerNetwork(sys::Executor executor, sys::Clock& clock, Log log)
    : executor_(std::move(executor)), clock_(clock), log_(std::move(log)), tls_(std::make_shared<Tls>(TlsOptions{})) {}
TcpPeerNetwork::~TcpPeerNetwork() = default;

Result<> TcpPeerNetwork::use_identity(const TlsIdentity& identity) { return tls_->use_identity(identity); }

void TcpPeerNetwork::trust(std::vector<sys::TrustedCa> authorities) {
  const auto trusted = tls_->trust(authorities);
  if (!trusted) log_.error("trust the CAs of {} clouds: {}", authorities.size(), trusted.error().message);
}

sys::Task<Result<Stream>> TcpPeerNetwork::dial(sys::PeerAddress address) {
  return dial_peer(tls_, clock_, std::move(address));
}

Result<std::unique_ptr<sys::PeerListener>> TcpPeerNetwork::listen(const std::string& host, std::uint16_t port) {
  auto listening = listen_tcp({.host = host, .port = port, .network_namespace = {}, .device = {}});
  if (!listening) return pass(listening);
  auto at = std::make_shared<Listening>(executor_, clock_, log_, tls_, std::move(*listening));
  return std::make_unique<TcpPeerListener>(std::move(at));
}

}  // namespace godwit::os
