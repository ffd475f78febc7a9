// The loop of whoever listens.
#pragma once

#include "base/log.h"
#include "sys/stream.h"

#include <utility>

namespace godwit::sys {

inline constexpr Millis kAcceptAgain{100};

// Gives `take` each stream that comes, until `listener` (a Listener or a PeerListener) is closed. Other errors are
// logged, and it goes on in a while. `take` doesn't wait: it spawns, or drops what is too much.
// `listener` and `clock` outlive the task; what `take` holds lives as long as it.
template <class Incoming, class Take>
[[nodiscard]] Task<void> accept_each(Incoming& listener, Clock& clock, Log log, Take take) {
  for (;;) {
    auto stream = co_await listener.accept();
    if (stream) {
      take(std::move(*stream));
      continue;
    }
    if (stream.error().code == Errc::cancelled || stream.error().code == Errc::closed) co_return;
    log.warn("{}", stream.error().message);
    co_await clock.sleep_for(kAcceptAgain);
  }
}

}  // namespace godwit::sys
