// What every migration of one host works with, and the limits of its waits.
#pragma once

#include "migrate/encoding.h"
#include "migrate/guest.h"
#include "migrate/record.h"
#include "migrate/service.h"
#include "migrate/turns.h"

#include <functional>
#include <vector>

namespace godwit::migrate {

// Waits of the source, unless QEMU or the guest's memory sets the pace.
inline constexpr Seconds kOpenGuestLimit{20};
inline constexpr Seconds kDialLimit{12};       // TCP and TLS have limits of their own below it
inline constexpr Seconds kAdmissionLimit{90};  // from Hello to Welcome: the destination starts a QEMU meanwhile
inline constexpr Seconds kDrainLimit{30};      // of the mirror, while the guest stands still
inline constexpr Seconds kCancelLimit{5};      // of a post-copy, before its connections are closed
inline constexpr Seconds kCompleteLimit{30};   // of QEMU's last part, likewise
inline constexpr Seconds kPreparedLimit{30};   // from there to D's `prepared`
inline constexpr Seconds kCloudCallLimit{5};
inline constexpr Seconds kIntroduceLimit{10};  // Hello to Welcome of a data channel, or of a resumed control channel
inline constexpr Millis kProgressEvery{500};
inline constexpr Millis kTurnEvery{100};
inline constexpr std::uint32_t kShortPause_ms = 30;  // QEMU's part of the pause, of a guest that converges by itself
inline constexpr std::uint32_t kNoPause_ms = 1;      // of one that shall go on: see migrate/turns.h
// Before the migration would be given up, the last resort is tried: at this part of its time, and no earlier than this.
inline constexpr int kLastResortPart = 4;
inline constexpr Seconds kLastResort{30};
// Waits of the destination.
inline constexpr Seconds kHelloLimit{10};
inline constexpr Seconds kReceiveLimit{60};
inline constexpr Seconds kFinishDiskLimit{30};
inline constexpr Millis kAnnounceLimit{200};  // the switch itself takes 100 ms at most
inline constexpr Seconds kStartLimit{10};
inline constexpr Seconds kWholeLook{1};      // from one look at a post-copy to the next
inline constexpr Seconds kWholePatience{5};  // with a QEMU that lacks pages and whose connection is gone
// Of both.
inline constexpr Seconds kResumeLimit{60};
inline constexpr Seconds kActAgain{1};      // resume or destroy, when it failed
inline constexpr Seconds kInDoubtAfter{3};  // open for so long without the other side: people are told
// How long the end of a migration is kept for the other side, when it does not come for it.
inline constexpr std::chrono::hours kSettleLimit{1};
inline constexpr std::chrono::days kTombstoneLimit{30};
inline constexpr int kConnectionsLimit = 16;  // of one channel of one migration, at a time

struct Context {
  sys::Runtime& runtime;
  Self self;
  Records records;
  Guests& guests;
  Locations& locations;
  Clouds& clouds;
  std::vector<Encoding*> encodings;  // best first; the last is PlainEncoding
  std::function<void()> changed;
  Turns turns{};

  [[nodiscard]] TimePoint now() const { return runtime.clock.now(); }
  [[nodiscard]] std::int64_t unix_ms() const { return runtime.clock.wall_now().time_since_epoch().count(); }
};

}  // namespace godwit::migrate
