// Which of the migrations that leave a host has the link first: one whose guest writes much, while it has the turn to
// pause. The rest of its memory shrinks from round to round as the link exceeds what the guest writes; so meanwhile the
// others are sent on in small steps. Counted behind deduplication, in what the destination has not yet rebuilt.
// Pure. Why: docs/decisions/gang.md.
#pragma once

#include "base/time.h"
#include "wire/migration.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace godwit::migrate {

class Favour final {
 public:
  static constexpr std::uint64_t kBusy_bytes_per_s = 1UL << 20U;  // a guest that writes more
  static constexpr std::uint32_t kLateRounds = 2;                 // its memory has crossed once
  static constexpr Seconds kLongest{30};                          // of one migration: the others must move, too
  static constexpr std::size_t kOthers_bytes = 128UL * 1024;      // a batch of new pages for each round trip

  using Member = std::uint64_t;  // 0: of a migration that has no part in this
  [[nodiscard]] Member enter();
  void leave(Member member);
  // As QEMU reports. `may_pause`: it has the turn to pause its guest.
  void note(Member member, const wire::MigrationProgress& progress, bool may_pause, TimePoint now);
  // Of `full` bytes that may be sent ahead, how many the member's memory is to use now.
  [[nodiscard]] std::size_t window(Member member, std::size_t full, TimePoint now) const;

 private:
  struct Entry {
    bool may_pause{false};
    bool busy{false};
    std::optional<TimePoint> since;  // when it was first favoured

    [[nodiscard]] bool is_favoured(TimePoint now) const { return may_pause && busy && now - *since < kLongest; }
  };
  std::map<Member, Entry> entries_;
  Member last_{0};
};

}  // namespace godwit::migrate
