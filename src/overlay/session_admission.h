// How many handshakes this host answers: all while there are few; under load those of proven sources alone, of each
// source a few; and never more in a second than it has time for. Fixed memory, whoever sends.
#pragma once

#include "overlay/session_types.h"

#include <optional>
#include <vector>

namespace godwit::overlay {

class SessionAdmission {
 public:
  // Initiations and responses heard in a second, after which sources must prove that they are reached. One costs about
  // 200 us of X25519.
  static constexpr std::uint32_t kCalm = 100;
  static constexpr Seconds kLoadFor{1};  // after the last second that was too busy
  // Answered in a second, whoever asks.
  static constexpr std::uint32_t kMost = 1000;
  // Under load, of one source (an IPv4 address, an IPv6 /64): WireGuard's numbers.
  static constexpr std::uint32_t kSourceRate = 20;  // a second
  static constexpr std::uint32_t kSourceBurst = 5;

  explicit SessionAdmission(sys::Random& random);

  // One has come that knows our key. True: its source must prove itself.
  [[nodiscard]] bool is_under_load(TimePoint now);
  // Under load, of a proven source: has it been here too often?
  [[nodiscard]] bool take_source(TimePoint now, const sys::UdpEndpoint& from);
  // False: enough for the second that is_under_load() last spoke of.
  [[nodiscard]] bool take_answer();

 private:
  struct Bucket {
    TimePoint at{};
    Nanos credit{};
  };
  // Sources that fall into one bucket share it; nobody can choose which, as the key is drawn.
  static constexpr std::size_t kBuckets = 4096;

  std::vector<Bucket> buckets_;
  std::array<std::byte, 16> key_{};
  std::optional<TimePoint> second_began_;
  std::uint32_t heard_{0};
  std::uint32_t answered_{0};
  std::optional<TimePoint> loaded_until_;
};

}  // namespace godwit::overlay
