#include "migrate/turns.h"

namespace godwit::migrate {
namespace {

constexpr std::uint32_t kSecondRound = 2;  // as QEMU counts them

}  // namespace

void Turns::enter(const std::string& migration) { entries_.try_emplace(migration); }

void Turns::note(const std::string& migration, std::uint32_t rounds, std::uint64_t left_bytes, TimePoint now) {
  const auto found = entries_.find(migration);
  if (found == entries_.end()) return;
  auto& entry = found->second;
  entry.left_bytes = left_bytes;
  entry.ready = entry.ready || rounds >= kSecondRound;
  choose(now);
}

void Turns::leave(const std::string& migration, TimePoint now) {
  entries_.erase(migration);
  if (turn_ == migration) turn_.clear();
  choose(now);
}

bool Turns::may_pause(const std::string& migration) const {
  const auto found = entries_.find(migration);
  return found != entries_.end() && found->second.may_pause;
}

// The one that has least to do, of those that have not had it.
void Turns::choose(TimePoint now) {
  if (!turn_.empty() && now - given_at_ < kPatience) return;
  Entry* best = nullptr;
  for (auto& [migration, entry] : entries_) {
    const bool waits = entry.ready && !entry.may_pause;
    if (!waits || (best != nullptr && entry.left_bytes >= best->left_bytes)) continue;
    best = &entry;
    turn_ = migration;
  }
  if (best == nullptr) return;
  best->may_pause = true;
  given_at_ = now;
}

}  // namespace godwit::migrate
