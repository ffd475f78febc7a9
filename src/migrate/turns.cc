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
  if (!entry.ready && rounds >= kSecondRound) {
    entry.ready = true;
    entry.ready_since = now;
  }
  choose();
}

void Turns::leave(const std::string& migration) {
  entries_.erase(migration);
  if (turn_ == migration) turn_.clear();
  choose();
}

bool Turns::may_pause(const std::string& migration, TimePoint now) const {
  const auto found = entries_.find(migration);
  if (found == entries_.end()) return true;
  const auto& entry = found->second;
  return entry.ready && (turn_ == migration || now - entry.ready_since >= kPatience);
}

// Who has it keeps it; then the one that has least to do.
void Turns::choose() {
  if (!turn_.empty()) return;
  const Entry* best = nullptr;
  for (const auto& [migration, entry] : entries_) {
    if (!entry.ready || (best != nullptr && entry.left_bytes >= best->left_bytes)) continue;
    best = &entry;
    turn_ = migration;
  }
}

}  // namespace godwit::migrate
