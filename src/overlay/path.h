// The ways to all peer hosts: direct ones through NATs, and the relay's. Pure: it says what to send and where, the
// sessions seal it. Format and rules: docs/protocols/path.md. Sources: RFC 4787, RFC 8445 (ICE), RFC 9000 section 9.
//
// A datagram of the session whose payload is_path_message() belongs here, with everything else only its source does.
// What path messages are sealed as must not stand between two slices that share a record.
#pragma once

#include "overlay/deadlines.h"
#include "overlay/path_peer.h"

#include <memory>
#include <utility>

namespace godwit::overlay {

struct PathCounters {
  std::uint64_t malformed{0};
};

// One strand.
class Paths {
 public:
  struct PeerOptions {
    // Exactly one of the two hosts leads: that with the smaller public key.
    bool leads{false};
    // False: a peer of WireGuard's profile, whom no probe may be sent. It is where it was last heard.
    bool speaks{true};
  };

  // `random` outlives it.
  explicit Paths(sys::Random& random) : scope_{random, {}, {}} {}

  // The peer is one of Sessions; nothing happens when it is there already.
  void add(PeerId peer, PeerOptions options);
  void remove(PeerId peer);
  // Where its record or location says that it is: used until better is known, and probed.
  void configure(TimePoint now, PeerId peer, const sys::UdpEndpoint& at);
  // The channels of relays to the peer (relayed_endpoint()), all that there are now, the best first: used at once when
  // there is no better way.
  void set_relays(TimePoint now, PeerId peer, std::span<const sys::UdpEndpoint> best_first);
  // At which others may reach this host, best first; more than kMostCandidates are left out. Told to all that we talk
  // with, when it changes; ways are then checked at once.
  void set_own(TimePoint now, std::span<const Candidate> own);

  // There is a session (again).
  void on_ready(TimePoint now, PeerId peer);
  // An authentic datagram, not a repetition, that is no path message; `newest` as in Opened.
  void on_data(TimePoint now, PeerId peer, const sys::UdpEndpoint& from, bool newest);
  // Its payload is_path_message().
  void on_message(TimePoint now, PeerId peer, const sys::UdpEndpoint& from, ByteView payload);
  // Data goes to best(peer) now: asked before it, as a peer that slept is reached elsewhere. Once a batch is enough.
  void on_sent(TimePoint now, PeerId peer);

  // Where datagrams for the peer go; none while nothing is known. Costs an index into a table.
  [[nodiscard]] const sys::UdpEndpoint* best(PeerId peer) const {
    const auto* at = find(peer);
    return at && at->current() ? &at->current()->at : nullptr;
  }
  // How long a datagram to best(peer) may be; what surely passes while nothing is known.
  [[nodiscard]] std::size_t datagram_bytes(PeerId peer) const {
    const auto* at = find(peer);
    return at ? at->datagram_bytes() : PathMtu::kSizes.front();
  }
  // For people. None: no such peer.
  [[nodiscard]] const PathPeer* find(PeerId peer) const {
    const auto slot = slot_of(peer);
    return slot < slots_.size() && slots_[slot] && slots_[slot]->id == peer ? &slots_[slot]->path : nullptr;
  }

  void poll(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return deadlines_.next(); }
  // To be sealed and sent, in this order. After every call above.
  [[nodiscard]] std::vector<PathSend> take_out() { return std::exchange(scope_.out, {}); }
  [[nodiscard]] bool has_out() const { return !scope_.out.empty(); }
  [[nodiscard]] const PathCounters& counters() const { return counters_; }

 private:
  struct Slot {
    PeerId id;
    PathPeer path;
  };
  PathPeer* find_mutable(PeerId peer);
  // For each datagram: a deadline that moved away is found out when the old one comes.
  void arm_at_most(PeerId peer, const PathPeer& path) {
    if (const auto at = path.deadline()) deadlines_.at_most(slot_of(peer), *at);
  }
  void arm(PeerId peer, const PathPeer& path) { deadlines_.set(slot_of(peer), path.deadline()); }

  PathScope scope_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Deadlines deadlines_;
  PathCounters counters_;
};

}  // namespace godwit::overlay
