// Both sides' words on one migration, as one. Pure.
#pragma once

#include "wire/migration.h"

#include <optional>

namespace godwit::sky {

// `known` is what was said last. A side that could not be asked is nullopt; its last word stands.
// The destination's *owned* outweighs the source's silence; *aborted* is believed from the source alone, because a
// source's abort is final by itself (docs/protocols/migration.md).
[[nodiscard]] wire::MigrationReport combine(const wire::MigrationReport& known,
                                            const std::optional<wire::MigrationReport>& source,
                                            const std::optional<wire::MigrationReport>& destination);

// The destination has it, whatever is left to clean up.
[[nodiscard]] constexpr bool has_arrived(wire::MigrationPhase phase) {
  return phase == wire::MigrationPhase::owned || phase == wire::MigrationPhase::completed;
}

}  // namespace godwit::sky
