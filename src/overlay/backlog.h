// Frames for peers to which there is no session yet: they wait, bounded, for the handshake that they have begun, as in
// WireGuard. Pure.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "overlay/session_types.h"
#include "sys/clock.h"

#include <deque>
#include <unordered_map>
#include <vector>

namespace godwit::overlay {

class Backlog {
 public:
  static constexpr std::size_t kMostOfAPeer = std::size_t{1} << 20U;  // bytes; then the oldest go
  static constexpr std::size_t kMostOfAll = std::size_t{16} << 20U;   // then what comes is not kept
  static constexpr Seconds kKeptFor{5};                               // who waits longer has asked again

  // Datagrams that lie side by side, not sealed yet, all but the last of `datagram_bytes`: a Slicer's Run.
  struct Piece {
    TimePoint since;
    std::uint64_t records{0};  // that are lost with it
    std::size_t datagram_bytes{0};
    ByteVector bytes;
  };

  // Copies. Returns how many records went for it, of its own or of older pieces.
  [[nodiscard]] std::uint64_t keep(TimePoint now, PeerId peer, std::uint64_t records, std::size_t datagram_bytes,
                                   ByteView bytes);
  // What has waited longest for the peer, valid until the next call; nothing when nothing does.
  [[nodiscard]] Piece* front(PeerId peer);
  // front() is kept no longer.
  void pop(PeerId peer);
  // Drops what has waited too long. Returns how many records those were.
  [[nodiscard]] std::uint64_t sweep(TimePoint now);
  [[nodiscard]] bool has(PeerId peer) const { return !peers_.empty() && peers_.contains(peer); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Waiting {
    std::size_t bytes{0};
    std::deque<Piece> pieces;
  };
  [[nodiscard]] static std::size_t cost(std::size_t bytes) { return bytes + sizeof(Piece); }
  // Its oldest piece. Returns its records.
  std::uint64_t drop_oldest(Waiting& waiting);

  std::unordered_map<PeerId, Waiting> peers_;
  std::size_t bytes_{0};
};

}  // namespace godwit::overlay
