// What a source and a destination do alike with what the votes ask for.
#pragma once

#include "migrate/context.h"

#include <string_view>

namespace godwit::migrate {

// Gives `perform` what `handover` asks for at each of its deadlines. `changed`: the deadline may be another one. Until
// it is cancelled; the references outlive it.
template <class Handover, class Perform>
[[nodiscard]] sys::Task<void> keep_time(Handover& handover, sys::Clock& clock, sys::Signal& changed, Perform perform) {
  for (;;) {
    const auto deadline = handover.next_deadline();
    if (!deadline) {
      co_await changed.wait();
    } else if (*deadline > clock.now()) {
      co_await changed.wait_until(clock, *deadline);
    } else {
      perform(handover.poll(clock.now()));
    }
  }
}

// Until nothing of the instance is left on this host. `what` it is, in the log.
[[nodiscard]] sys::Task<void> destroy(Context& context, Log log, std::string instance, std::string_view what);

// The cloud has recorded how it ended.
void forget(Context& context, const Log& log, Record& record);

// What a record says; its phase, and what only the running side knows, is the side's to add.
[[nodiscard]] wire::MigrationReport report_of(const Record& record);

inline constexpr std::string_view kDisputed = "both sides say that they have it: a fence was given in error";

}  // namespace godwit::migrate
