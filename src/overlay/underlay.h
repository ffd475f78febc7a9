// How this host talks with others: its sessions, the ways to each peer, and its relays, as one pure machine. What is
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

// How a peer is reached, for people.
struct PeerView {
  crypto::PublicKey key{};
  Profile profile{Profile::native};
  std::optional<TimePoint> session_since{};
  SealedBytes bytes{};
  WayKind way{WayKind::seen};
  bool mapped{false};         // a NAT is between the two
  sys::UdpEndpoint endpoint;  // where its datagrams go, the relay's included; none: no way is known
};

// One strand. What is borrowed outlives it.
class Underlay {
 public:
  static constexpr std::size_t kMostRelays = 4;

  Underlay(crypto::KeyPair own, sys::Random& random, Sessions::WallClock wall, const crypto::Ciphers& ciphers);

  // A peer host, and where its location says that it is, if it does. As Sessions::add().
  [[nodiscard]] PeerId add(TimePoint now, const PeerSpec& spec, const sys::UdpEndpoint& at);
  void remove(PeerId peer);
  // Each is told of all peers; what goes by a relay goes by the nearest that has a channel to the peer. Errors:
  // invalid_argument (more than kMostRelays, the same twice, or this host's own key).
  [[nodiscard]] Result<> use_relay(TimePoint now, const RelaySpec& spec);
  // As Sessions::set_record(). Another one than before is shown at once to relays that have not let this host in.
  [[nodiscard]] Result<> set_record(TimePoint now, ByteView record);
  // The addresses of the UDP socket on this host's interfaces.
  void set_addresses(TimePoint now, std::span<const sys::UdpEndpoint> addresses);

  // Seals a datagram ([kSealHeader][payload][kSealTag]) and says where it goes. None: there is no session or no way
  // yet, and both are being made. Allocates nothing where there is a session.
  [[nodiscard]] std::optional<Route> seal(TimePoint now, PeerId peer, ByteSpan datagram);
  // How long that datagram may be.
  [[nodiscard]] std::size_t datagram_bytes(PeerId peer) const { return paths_.datagram_bytes(peer); }
  // One received datagram; `from` is a UDP endpoint, or the relay's connection. `data` only of peers, and only what is
  // for the packet path.
  [[nodiscard]] Opened on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram);
  // As RelayClient::use_connection(), wants_connection().
  void on_relay_connection(TimePoint now, std::size_t relay, bool connected);
  [[nodiscard]] bool wants_relay_connection(std::size_t relay) const {
    return relay < relays_.size() && relays_[relay].client.wants_connection();
  }

  void poll(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  // After every call above. Seals what paths and the relay are told: not between two datagrams of one record.
  [[nodiscard]] std::vector<UnderlaySend> take_out(TimePoint now);

  // None: no such peer.
  [[nodiscard]] std::optional<PeerView> view(TimePoint now, PeerId peer) const;
  [[nodiscard]] Sessions& sessions() { return sessions_; }
  [[nodiscard]] const Paths& paths() const { return paths_; }
  // In the order of use_relay(). None: there are not so many.
  [[nodiscard]] const RelayClient* relay(std::size_t number = 0) const {
    return number < relays_.size() ? &relays_[number].client : nullptr;
  }

 private:
  struct RelayPeer {
    PeerId peer;
    RelayClient client;
  };
  Opened on_relay(TimePoint now, RelayPeer& relay, const Opened& opened);
  [[nodiscard]] RelayPeer* relay_with(PeerId peer);
  [[nodiscard]] std::optional<sys::UdpEndpoint> source_of_carried(TimePoint now, const sys::UdpEndpoint& from,
                                                                  std::uint32_t channel);
  [[nodiscard]] Route route_to(const sys::UdpEndpoint& endpoint) const;
  void tell_own(TimePoint now);
  void run_relay(TimePoint now, RelayPeer& relay);
  void rank_relays(TimePoint now);
  void tell_relays(TimePoint now, PeerId peer);
  [[nodiscard]] std::vector<sys::UdpEndpoint> mapped() const;
  void begin_by(TimePoint now, PeerId peer, const sys::UdpEndpoint& way);
  void collect(TimePoint now);
  void send(const sys::UdpEndpoint& to, ByteView bytes);
  void seal_and_send(TimePoint now, PeerId peer, const sys::UdpEndpoint& to, ByteView payload);

  sys::Random& random_;
  Sessions sessions_;
  Paths paths_;
  std::vector<RelayPeer> relays_;
  std::vector<std::size_t> nearest_first_;  // places in relays_
  std::vector<sys::UdpEndpoint> addresses_;
  std::vector<sys::UdpEndpoint> told_mapped_;
  // The last message of a handshake to whom there is no session: by a way that comes up later it is said at once.
  std::unordered_map<PeerId, ByteVector> unanswered_;
  std::vector<UnderlaySend> out_;
};

}  // namespace godwit::overlay
