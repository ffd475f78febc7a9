#include "migrate/favour.h"

#include <algorithm>

namespace godwit::migrate {

Favour::Member Favour::enter() {
  entries_[++last_] = {};
  return last_;
}

void Favour::leave(Member member) { entries_.erase(member); }

void Favour::note(Member member, const wire::MigrationProgress& progress, bool may_pause, TimePoint now) {
  const auto found = entries_.find(member);
  if (found == entries_.end()) return;
  auto& entry = found->second;
  entry.may_pause = may_pause;
  entry.busy = progress.rounds >= kLateRounds && progress.dirty_bytes_per_s > kBusy_bytes_per_s;
  if (entry.may_pause && entry.busy && !entry.since) entry.since = now;
}

std::size_t Favour::window(Member member, std::size_t full, TimePoint now) const {
  const auto found = entries_.find(member);
  // Who may pause has little left, and its guest may stand still for it.
  if (found == entries_.end() || found->second.may_pause) return full;
  const bool yields = std::ranges::any_of(entries_, [&](const auto& each) { return each.second.is_favoured(now); });
  return yields ? std::min(full, kOthers_bytes) : full;
}

}  // namespace godwit::migrate
