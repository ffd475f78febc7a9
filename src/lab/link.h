// lab/link.h: one direction between two places of the emulated WAN: a rate, a delay, a loss, a bounded queue.
// Pure: no sockets, clocks or threads. A packet's way: lost? full? -> waits for the line to be free -> transmitted at
// the rate -> on the wire for the delay -> due. Packets never overtake each other, also when the shape changes.
#pragma once

#include "base/time.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>

namespace godwit::lab {

// Larger than any MTU of the lab (1500).
constexpr std::size_t kSlotBytes = 2048 - sizeof(std::uint16_t);

struct Slot {
  std::uint16_t size{0};
  std::array<std::byte, kSlotBytes> bytes;
};
using Packet = std::unique_ptr<Slot>;  // one owner, handed on; null where there is none

struct LinkShape {
  std::uint64_t rate_bps{0};  // bits a second of IP packets; 0: no limit
  Nanos delay{0};             // one way
  std::uint32_t loss_ppm{0};
  bool cut{false};

  bool operator==(const LinkShape&) const = default;
};

struct LinkCounters {
  std::uint64_t packets{0};  // delivered
  std::uint64_t bytes{0};    // delivered
  std::uint64_t lost{0};     // by chance, or because the link was cut
  std::uint64_t overflowed{0};
};

// What may wait for the line to be free: 50 ms at the rate, as a router's buffer is; the wire holds what it holds.
constexpr Nanos kQueueLimit = Millis{50};
// But never less than a few full packets, or a slow link could not carry a burst of ten (RFC 6928).
constexpr std::size_t kLeastQueueBytes = 16UL * 1024;
// 1 Gbit/s for 0.5 s in full packets; 128 MiB.
constexpr std::size_t kMostHeldPackets = 65'536;

class Link {
 public:
  // Equal seeds, shapes and offers give equal losses.
  Link(LinkShape shape, std::uint64_t seed);
  Link(Link&&) noexcept = default;
  Link& operator=(Link&&) noexcept = default;

  // Takes effect for packets that come later; what waits keeps its place, and is gone when the link is cut.
  void reshape(TimePoint now, const LinkShape& shape);
  // Takes the packet, or drops it and counts that. `now` never goes back.
  void offer(TimePoint now, Packet packet);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  // The oldest packet, if it is due at `now`; else null.
  [[nodiscard]] Packet take_due(TimePoint now);

  [[nodiscard]] const LinkShape& shape() const { return shape_; }
  [[nodiscard]] const LinkCounters& counters() const { return counters_; }

 private:
  struct Held {
    TimePoint due;
    Packet packet;
  };
  [[nodiscard]] Nanos transmission(std::size_t bytes) const;
  [[nodiscard]] Nanos queue_limit() const;
  [[nodiscard]] bool lose();

  LinkShape shape_;
  std::mt19937_64 chance_;
  std::deque<Held> held_;
  TimePoint free_at_{};   // when the line has sent all that it took
  TimePoint last_due_{};  // of the newest packet taken
  LinkCounters counters_;
};

}  // namespace godwit::lab
