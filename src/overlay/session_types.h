// What a peer, its profile and the limits of its sessions are called.
#pragma once

#include "crypto/x25519.h"
#include "sys/packet.h"

#include <array>
#include <boost/describe/enum.hpp>
#include <cstring>

namespace godwit::overlay {

// How a peer's sessions are sealed and numbered. Configured, never guessed: docs/protocols/session.md.
enum class Profile : std::uint8_t { native = 1, wireguard = 2 };

using PeerId = std::uint32_t;  // stays as long as the peer is configured, and is not given to another soon after
constexpr PeerId kNobody = 0;

struct PeerSpec {
  crypto::PublicKey key{};
  crypto::Secret psk;  // all zero: none
  Profile profile{Profile::native};
};

constexpr std::size_t kSealHeader = 16;
constexpr std::size_t kSealTag = 16;
constexpr std::size_t kSealOverhead = kSealHeader + kSealTag;
constexpr std::size_t kMostRecord = 1024;   // so that a first message fits IPv6's least MTU
constexpr std::size_t kMostPeers = 65'536;  // slots of a PeerId

constexpr std::size_t kMostHalfOpen = 4096;  // peers that were answered, have shown nothing since, and had no session

// WireGuard, section 6.1.
constexpr Seconds kRekeyAfter{120};                                 // the initiator makes a new session
constexpr Seconds kRejectAfter{180};                                // nothing is sealed or opened by an older one
constexpr Seconds kRekeyAttempt{90};                                // then a handshake is given up
constexpr Seconds kRekeyTimeout{5};                                 // between two initiations, and
constexpr Millis kRekeyJitter{333};                                 // up to that much more
constexpr Seconds kKeepaliveAfter{10};                              // of hearing without saying anything
constexpr Seconds kSilenceAfter = kKeepaliveAfter + kRekeyTimeout;  // of saying without hearing anything: made anew
constexpr Seconds kRefreshAfter = kRejectAfter - kSilenceAfter;     // the responder does so where the initiator didn't
constexpr std::uint64_t kRekeyAfterMessages = std::uint64_t{1} << 60U;
constexpr std::uint64_t kRejectAfterMessages = ~std::uint64_t{0} - 8192;
constexpr Millis kInitiationInterval{20};  // a peer's initiations that come faster are dropped
constexpr Seconds kCookieLife{120};        // a cookie's, and that of the secret it is made of

// clang-format off
BOOST_DEFINE_ENUM_CLASS(Refusal,
  none,
  malformed,        // no message of ours: too short, too long, unknown type, reserved bytes that are not 0
  not_authentic,    // mac, tag or key does not hold
  unknown_index,    // for no session of ours, or one that has ended
  wrong_profile,    // the peer is configured to speak the other one
  unknown_key,      // not configured, and not introduced
  replayed,         // or older than the window or the last handshake
  expired,          // by a session past its time
  under_load,       // a cookie was sent instead
  too_often,        // more initiations than one peer, or one source under load, may send
  exhausted)        // more handshakes than this host answers in a second, or half-open ones than it keeps
// clang-format on
constexpr std::size_t kRefusals = static_cast<std::size_t>(Refusal::exhausted) + 1;

// Datagrams of a peer's sessions since it is configured, handshakes left out.
struct SealedBytes {
  std::uint64_t sent{0};
  std::uint64_t received{0};
};

struct SessionCounters {
  std::array<std::uint64_t, kRefusals> refused{};
  std::uint64_t initiations_sent{0};
  std::uint64_t responses_sent{0};
  std::uint64_t cookies_sent{0};
  std::uint64_t keepalives_sent{0};
  std::uint64_t begun{0};     // sessions, as initiator or responder
  std::uint64_t given_up{0};  // handshakes that nobody answered in kRekeyAttempt

  [[nodiscard]] std::uint64_t refusals(Refusal why) const { return refused[static_cast<std::size_t>(why)]; }
};

// Keys of configured peers are chosen by them at most one each: any 8 bytes spread them.
struct KeyHash {
  std::size_t operator()(const crypto::PublicKey& key) const {
    std::size_t hash = 0;
    std::memcpy(&hash, key.data(), sizeof hash);
    return hash;
  }
};

// The lower 16 bits of a PeerId are its place, the upper ones who it is of those that had the place.
constexpr std::uint32_t slot_of(PeerId id) { return id & 0xffffU; }

}  // namespace godwit::overlay
