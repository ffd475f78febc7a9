// The seam where slices become unreadable to others: what the packet path needs of the sessions of this host. Pure.
#pragma once

#include "sys/clock.h"
#include "sys/packet.h"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace godwit::overlay {

// A host whose switch we may talk to; stable while it is configured. 0: nobody.
using PeerId = std::uint32_t;
using PublicKey = std::array<std::byte, 32>;

// A datagram of a session is [kSealHeader][payload][kSealTag].
constexpr std::size_t kSealHeader = 16;
constexpr std::size_t kSealTag = 16;

// A received datagram, opened in place.
struct Opened {
  enum class What : std::uint8_t {
    data,       // `payload` is the peer's
    handshake,  // dealt with; take_out() may have the answer
    dropped,    // not authentic, a replay, or nothing of ours
  };
  What what{What::dropped};
  PeerId peer{0};
  std::uint32_t session{0};   // which of the peer's sessions it came by: counters are that one's
  std::uint64_t counter{0};   // how many datagrams its sender had sealed before
  ByteSpan payload;
};

// Wants to go out: to a peer, or with peer 0 to where it answers.
struct Outgoing {
  PeerId peer{0};
  sys::UdpEndpoint to;
  ByteVector bytes;
};

class Seal {
 public:
  virtual ~Seal() = default;
  // Our own key, as peers name us.
  [[nodiscard]] virtual PublicKey key() const = 0;
  // May be talked to from now on. The same key gives the same id.
  [[nodiscard]] virtual PeerId add(const PublicKey& key) = 0;
  virtual void remove(PeerId peer) = 0;
  // Writes header and tag around the payload of a datagram and seals it. False: there is no session (yet). Allocates
  // nothing.
  [[nodiscard]] virtual bool seal(TimePoint now, PeerId peer, ByteSpan datagram) = 0;
  [[nodiscard]] virtual Opened open(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram) = 0;
  // What is due, and what wants to go out since the last call.
  virtual void poll(TimePoint now) = 0;
  [[nodiscard]] virtual std::optional<TimePoint> next_deadline() const = 0;
  [[nodiscard]] virtual std::vector<Outgoing> take_out() = 0;
};

}  // namespace godwit::overlay
