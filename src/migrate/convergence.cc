#include "migrate/convergence.h"

namespace godwit::migrate {

bool Convergence::needs_help(const wire::MigrationProgress& progress) {
  if (progress.rounds <= round_) return false;  // no new round has begun: the rest shrinks because it is being sent
  const bool first = round_ == 0;
  const bool slow = static_cast<double>(progress.memory_remaining_bytes) > kShrink * static_cast<double>(rest_bytes_);
  round_ = progress.rounds;
  rest_bytes_ = progress.memory_remaining_bytes;
  if (first) return false;  // everything was to be sent
  slow_ = slow ? slow_ + 1 : 0;
  if (slow_ < kSlowRounds) return false;
  slow_ = 0;
  return true;
}

}  // namespace godwit::migrate
