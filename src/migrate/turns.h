// Which of a host's migrations may pause its guest: one at a time, so that the last round of each has the link for
// itself, and none before its memory has crossed once. QEMU decides when to pause by the rate at which its bytes were
// taken lately; in the first round that is the rate of pages that cost next to nothing, and its guess of the rest far
// too good. Pure.
#pragma once

#include "base/time.h"

#include <cstdint>
#include <map>
#include <string>

namespace godwit::migrate {

class Turns final {
 public:
  static constexpr Seconds kPatience{10};  // so long the turn is one's own; then it is also another's who waits

  void enter(const std::string& migration);  // its memory begins to be copied
  // As QEMU reports. `left_bytes`: of memory, to be copied in this round.
  void note(const std::string& migration, std::uint32_t rounds, std::uint64_t left_bytes, TimePoint now);
  void leave(const std::string& migration, TimePoint now);  // everything has left its QEMU, or it has ended
  // No for one that is not copying.
  [[nodiscard]] bool may_pause(const std::string& migration) const;

 private:
  struct Entry {
    bool ready{false};
    bool may_pause{false};
    std::uint64_t left_bytes{0};
  };
  void choose(TimePoint now);

  std::map<std::string, Entry> entries_;
  std::string turn_;  // whose it is; empty: nobody's
  TimePoint given_at_{};
};

}  // namespace godwit::migrate
