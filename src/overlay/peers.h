// The other hosts' switches: how far away each is, measured by probes. Pure.
#pragma once

#include "overlay/segments.h"
#include "sys/clock.h"

#include <optional>

namespace godwit::overlay {

constexpr Millis kFirstProbe{50};    // until the first answer: then twice as long each time
constexpr Millis kProbeEvery{2000};  // once the round trip is known, and at most

class Peers {
 public:
  explicit Peers(sys::Random& random) : random_(random) {}

  // The hosts of all networks, now. Those that are new are probed at once.
  void update(TimePoint now, const Segments& segments);
  // Sends the probes that are due.
  void poll(TimePoint now, const Segments& segments, Outbox& out);
  // False: nobody asked for it.
  bool on_pong(TimePoint now, PeerId from, std::uint64_t nonce);

  // Smoothed as in RFC 6298; nothing before the first answer. It stays when a peer falls silent.
  [[nodiscard]] std::optional<Nanos> round_trip(PeerId peer) const;
  // The share of probes that nobody answered before the next went out, 0 to 1, smoothed over about 16; nothing before
  // the first answer.
  [[nodiscard]] std::optional<double> loss(PeerId peer) const;
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return next_; }

 private:
  struct Peer {
    std::string network;  // under whose key it is probed
    std::optional<Nanos> round_trip;
    std::uint64_t nonce{0};  // of the probe that is out
    TimePoint sent{};
    TimePoint due{};
    Nanos interval{kFirstProbe};
    std::optional<double> loss{};
  };

  sys::Random& random_;
  std::unordered_map<PeerId, Peer> peers_;
  std::optional<TimePoint> next_;
};

[[nodiscard]] std::uint64_t draw_nonce(sys::Random& random);  // never 0

}  // namespace godwit::overlay
