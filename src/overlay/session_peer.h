// What is kept of one peer: who it is, its sessions, the handshake that is under way, and its timers.
#pragma once

#include "overlay/cookies.h"
#include "overlay/noise.h"
#include "overlay/replay_window.h"

#include <algorithm>
#include <memory>

namespace godwit::overlay {

// One session: made by one handshake, for kRejectAfter at most.
struct Keypair {
  std::unique_ptr<crypto::AeadKey> sending;
  std::unique_ptr<crypto::AeadKey> receiving;
  Profile profile{Profile::native};
  bool initiator{false};
  std::uint32_t local{0};   // the index by which the peer names it
  std::uint32_t remote{0};  // by which we do
  std::uint32_t number{0};
  TimePoint made;
  TimePoint heard;  // last; at first, made
  Tai64n dated{};   // the initiation, where the peer sent it
  std::uint64_t next_counter{0};
  ReplayWindow seen;

  [[nodiscard]] bool is_usable(TimePoint now) const {
    return now - made < kRejectAfter && next_counter < kRejectAfterMessages;
  }
};

// We want a session, or a new one.
struct Handshake {
  TimePoint begun;
  std::uint32_t local{0};  // 0: nothing was sent yet
  std::optional<NoiseInitiator> noise;
  bool cookie_taken{false};  // and sent again because of it: once an initiation
};

struct SessionPeer {
  SessionPeer(PeerId id_, const PeerSpec& spec_, const crypto::Secret& shared)
      : id(id_), spec(spec_), static_shared(shared), cookies(spec_.key) {}

  PeerId id;
  PeerSpec spec;
  crypto::Secret static_shared;
  CookieJar cookies;

  // Sealed with `current`; opened with all. `next` was answered by us, and becomes current with the first datagram that
  // comes by it: before, nobody has shown that it was heard. WireGuard keeps one that was current; where both sides
  // renew at once there are two changes in a round trip, and by two what is on its way is heard all the same.
  std::array<std::unique_ptr<Keypair>, 2> previous;
  std::unique_ptr<Keypair> current;
  std::unique_ptr<Keypair> next;

  [[nodiscard]] std::array<std::unique_ptr<Keypair>*, 4> keypairs() {
    return {&previous[0], &previous[1], &current, &next};
  }
  [[nodiscard]] std::array<const std::unique_ptr<Keypair>*, 4> keypairs() const {
    return {&previous[0], &previous[1], &current, &next};
  }

  SealedBytes bytes;
  std::optional<Handshake> handshake;
  Tai64n greatest_timestamp{};                 // of its initiations that were answered
  std::optional<TimePoint> answered_at;        // the last of them
  std::optional<TimePoint> sent_at;            // our last initiation
  std::optional<TimePoint> reminded_at;        // when one that was out of date made us begin ourselves
  std::optional<sys::UdpEndpoint> asked_from;  // and where that came from
  std::optional<TimePoint> heard_at;           // data or keepalive
  bool half_open{false};                       // is counted as such

  std::optional<TimePoint> initiate_at;   // the handshake's next initiation
  std::optional<TimePoint> keepalive_at;  // it said something, and we nothing since
  std::optional<TimePoint> silent_at;     // we said something, and it nothing since

  [[nodiscard]] std::optional<TimePoint> deadline() const {
    std::optional<TimePoint> out;
    const auto add = [&out](const std::optional<TimePoint>& at) {
      if (at) out = out ? std::min(*out, *at) : *at;
    };
    add(initiate_at);
    add(keepalive_at);
    add(silent_at);
    for (const auto* each : keypairs()) {
      if (*each) add((*each)->made + kRejectAfter);
    }
    return out;
  }
};

}  // namespace godwit::overlay
