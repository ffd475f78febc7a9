// How long a datagram may be on one way: found by probes that are answered, as nothing fragments (RFC 8899, DPLPMTUD).
// Routers' words (ICMP) are not needed, and not believed. Pure; part of PathPeer. Rules: docs/protocols/path.md.
#pragma once

#include "base/time.h"
#include "sys/clock.h"

#include <array>
#include <cstdint>
#include <optional>

namespace godwit::overlay {

class PathMtu {
 public:
  // Bytes of a datagram; in front of it on the link are at most 40 of IPv6, 8 of UDP and 8 of a relay's header. So
  // these are links of 1256 (the least that works at all), 1280, 1320, 1350, 1380, 1400, 1420, 1450, 1460, 1480, 1492,
  // 1500, 2000, 3000, 4500, 8500 and 9000 bytes.
  static constexpr std::array<std::uint16_t, 17> kSizes{1200, 1224, 1264, 1294, 1324, 1344, 1364, 1394, 1404,
                                                        1424, 1436, 1444, 1944, 2944, 4444, 8444, 8944};
  static constexpr std::size_t kUsual = 11;  // is tried first: Ethernet's
  static constexpr unsigned kTries = 4;      // of one size, two round trips apart
  static constexpr Millis kLeastPause{100};
  static constexpr Millis kMostPause{1000};
  // What is used is tried so often: the way may have changed behind our back, and a black hole says nothing.
  static constexpr Seconds kConfirmEvery{3};
  // What was too long is tried again; the pause is doubled, up to
  static constexpr Seconds kFirstRaise{30};
  static constexpr Seconds kRaiseEvery{600};

  struct Probe {
    std::size_t datagram_bytes{0};
    std::uint64_t token{0};
  };

  [[nodiscard]] std::size_t datagram_bytes() const { return kSizes[good_]; }
  // What is due, while the way is in use. `heard_at`: when anything came by it; where nothing does, no size is to
  // blame.
  [[nodiscard]] std::optional<Probe> poll(TimePoint now, Nanos round_trip, TimePoint heard_at, sys::Random& random);
  // False: it is the answer to something else.
  bool on_answer(TimePoint now, std::uint64_t token);
  [[nodiscard]] TimePoint deadline() const { return at_; }

 private:
  [[nodiscard]] bool begin(TimePoint now, sys::Random& random);
  [[nodiscard]] std::size_t next_size() const;
  void failed(TimePoint now);

  std::uint8_t good_{0};             // passed: a place in kSizes
  std::uint8_t bad_{kSizes.size()};  // the least that did not
  std::uint8_t tried_{0};
  std::uint8_t tries_{0};   // of it; 0: nothing is out
  std::uint64_t token_{0};  // of it
  TimePoint began_{};
  TimePoint at_{};  // of the next thing to do
  TimePoint confirm_at_{};
  TimePoint raise_at_{};
  Nanos raise_pause_{kFirstRaise};
};

}  // namespace godwit::overlay
