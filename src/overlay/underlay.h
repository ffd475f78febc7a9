// How this host talks with others: its sessions, the ways to each peer, and its relay, as one pure machine. What is
// between the packet path and the socket.
#pragma once

#include "overlay/path.h"
#include "overlay/relay_client.h"
#include "overlay/session.h"

namespace godwit::overlay {

// Where a datagram goes: by UDP, or by the connection to the relay (RelayedKind::connection); with a channel, behind
// write_carried_header().
struct Route {
  sys::UdpEndpoint to;
  std::uint32_t channel{0};
};

// Complete: with the relay's header where there is one.
struct UnderlaySend {
  sys::UdpEndpoint to;
  ByteVector bytes;
};

struct RelaySpec {
  crypto::PublicKey key{};
  sys::UdpEndpoint at;
};

// One strand. What is borrowed outlives it.
class Underlay {
 public:
  Underlay(crypto::KeyPair own, sys::Random& random, Sessions::WallClock wall, const crypto::Ciphers& ciphers);

  // A peer host, and where its location says that it is, if it does. As Sessions::add().
  [[nodiscard]] PeerId add(TimePoint now, const PeerSpec& spec, const sys::UdpEndpoint& at);
  void remove(PeerId peer);
  // One for all; at most once.
  void use_relay(TimePoint now, const RelaySpec& spec);
  // The addresses of the UDP socket on this host's interfaces.
  void set_addresses(TimePoint now, std::span<const sys::UdpEndpoint> addresses);

  // Seals a datagram ([kSealHeader][payload][kSealTag]) and says where it goes. None: there is no session or no way
  // yet, and both are being made. Allocates nothing where there is a session.
  [[nodiscard]] std::optional<Route> seal(TimePoint now, PeerId peer, ByteSpan datagram);
  // One received datagram; `from` is a UDP endpoint, or the relay's connection. `data` only of peers, and only what is
  // for the packet path.
  [[nodiscard]] Opened on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram);
  // As RelayClient::use_connection(), wants_connection().
  void on_relay_connection(TimePoint now, bool connected);
  [[nodiscard]] bool wants_relay_connection() const { return relay_ && relay_->client.wants_connection(); }

  void poll(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  // After every call above. Seals what paths and the relay are told: not between two datagrams of one record.
  [[nodiscard]] std::vector<UnderlaySend> take_out(TimePoint now);

  [[nodiscard]] Sessions& sessions() { return sessions_; }
  [[nodiscard]] const Paths& paths() const { return paths_; }
  [[nodiscard]] const RelayClient* relay() const { return relay_ ? &relay_->client : nullptr; }

 private:
  struct RelayPeer {
    PeerId peer;
    RelayClient client;
  };
  Opened on_relay(TimePoint now, const Opened& opened);
  [[nodiscard]] Route route_to(const sys::UdpEndpoint& endpoint) const;
  void tell_own(TimePoint now);
  void run_relay(TimePoint now);
  void begin_by(TimePoint now, PeerId peer, const sys::UdpEndpoint& way);
  void collect(TimePoint now);
  void send(const sys::UdpEndpoint& to, ByteView bytes);
  void seal_and_send(TimePoint now, PeerId peer, const sys::UdpEndpoint& to, ByteView payload);

  sys::Random& random_;
  Sessions sessions_;
  Paths paths_;
  std::optional<RelayPeer> relay_;
  std::vector<sys::UdpEndpoint> addresses_;
  std::optional<sys::UdpEndpoint> told_mapped_;
  // The last message of a handshake to whom there is no session: by a way that comes up later it is said at once.
  std::unordered_map<PeerId, ByteVector> unanswered_;
  std::vector<UnderlaySend> out_;
};

}  // namespace godwit::overlay
