// A host's end of its relay: says that it is there, learns how it is seen, and has channels to peers. Pure.
// docs/protocols/relay.md. The relay is a peer of this host's Sessions like any other; whoever owns the socket
//   seals what take_out() has for it, sends it where it says, and gives on_message() what the relay says,
//   sends what is meant for relayed_endpoint(channel) to endpoint(), behind write_carried_header(), and
//   takes what carried_channel() knows from the relay as coming from that endpoint: from_channel() says whether it may.
#pragma once

#include "overlay/relay_messages.h"
#include "sys/clock.h"

#include <unordered_map>
#include <utility>
#include <vector>

namespace godwit::overlay {

class RelayClient {
 public:
  static constexpr std::size_t kMostWanted = 4096;
  // Keeps the NAT's mapping to the relay, and this host among its clients. Shorter than any NAT's timeout.
  static constexpr Seconds kHelloEvery{10};
  // Nothing of the relay for so long though it was asked: by UDP it is not reached.
  static constexpr Seconds kSilentAfter{4};
  // By a connection: it is asked whether UDP leads there by now; the pause is doubled, up to
  static constexpr Seconds kFirstLook{1};
  static constexpr Seconds kLookEvery{60};
  static constexpr Seconds kBindAgain{1};    // no answer
  static constexpr Seconds kAbsentAgain{5};  // it was not there; doubled, up to
  static constexpr Seconds kLongestPause{60};

  // `at`: the relay's UDP endpoint; `number`: which of the host's relays it is. `random` outlives it.
  RelayClient(sys::Random& random, const sys::UdpEndpoint& at, std::uint8_t number = 0)
      : random_(random), udp_(at), number_(number) {}

  // A peer to which there shall be a channel, for as long as both want it.
  void want(TimePoint now, PeerId peer, const crypto::PublicKey& key);
  void forget(PeerId peer);

  // There is a session with the relay (again): what it was told before may be forgotten there.
  void on_ready(TimePoint now);
  // The payload of a datagram of the session with the relay.
  void on_message(TimePoint now, ByteView payload);
  // Datagrams from the relay's endpoint only. True: the channel is ours, and what it carries can be looked at.
  [[nodiscard]] bool from_channel(TimePoint now, const sys::UdpEndpoint& from, std::uint32_t channel);
  // A TCP connection to the relay stands: everything goes there from now on. With none it is UDP again.
  void use_connection(TimePoint now, bool connected);

  void poll(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  struct Said {
    sys::UdpEndpoint to;
    RelayMessageBytes payload{};
  };
  // To be sealed for the relay. Nothing can be sealed before there is a session: each try begins one.
  [[nodiscard]] std::vector<Said> take_out() { return std::exchange(out_, {}); }

  // Peers to which there is a channel now, or none any more.
  [[nodiscard]] std::vector<PeerId> take_changes() { return std::exchange(changes_, {}); }
  [[nodiscard]] std::vector<PeerId> peers() const;
  // None: there is no channel.
  [[nodiscard]] std::optional<sys::UdpEndpoint> channel_to(PeerId peer) const;
  // Smoothed; none before the first answer, and while it is silent.
  [[nodiscard]] std::optional<Nanos> round_trip() const { return silent_ ? std::nullopt : round_trip_; }
  // How the relay sees this host by UDP; none by a connection, or while it isn't known.
  [[nodiscard]] const std::optional<sys::UdpEndpoint>& mapped() const { return mapped_; }
  // Where the relay is: its UDP endpoint, or the connection's stand-in.
  [[nodiscard]] sys::UdpEndpoint endpoint() const {
    return connected_ ? relayed_endpoint({RelayedKind::connection, 1, number_}) : udp_;
  }
  // UDP doesn't lead there: there should be a connection, until it does.
  [[nodiscard]] bool wants_connection() const { return udp_is_dead_; }
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

 private:
  struct Wanted {
    crypto::PublicKey key{};
    std::uint32_t channel{0};
    TimePoint next{};  // bind
    Nanos pause{kAbsentAgain};
  };
  void on_here(TimePoint now, const RelayMessage& here);
  void on_bound(TimePoint now, Wanted& wanted, PeerId peer, const RelayMessage& message);
  void set_channel(PeerId peer, Wanted& wanted, std::uint32_t channel);
  void say(const RelayMessage& message) { out_.push_back({endpoint(), encode_relay_message(message)}); }
  void say_hello(TimePoint now);
  void look(TimePoint now);
  void bind_what_is_due(TimePoint now);
  void ask_anew(TimePoint now);

  sys::Random& random_;
  sys::UdpEndpoint udp_;
  std::uint8_t number_;
  bool connected_{false};
  std::unordered_map<PeerId, Wanted> wanted_;
  std::unordered_map<std::uint32_t, PeerId> channels_;
  std::optional<sys::UdpEndpoint> mapped_;
  std::uint64_t token_{0};
  TimePoint hello_at_{};
  TimePoint said_hello_at_{};
  std::optional<Nanos> round_trip_;
  bool silent_{false};                 // it was asked, and did not answer
  TimePoint bind_at_{};                // not later than the first of wanted_
  std::optional<TimePoint> asked_at_;  // and not answered since
  bool udp_is_dead_{false};
  std::uint64_t look_token_{0};  // 0: not asked
  TimePoint look_at_{};
  Nanos look_pause_{kFirstLook};
  std::vector<Said> out_;
  std::vector<PeerId> changes_;
  std::uint64_t malformed_{0};
};

}  // namespace godwit::overlay
