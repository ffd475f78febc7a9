// Whether the rounds of a pre-copy get smaller. Pure.
#pragma once

#include "wire/migration.h"

#include <cstdint>

namespace godwit::migrate {

class Convergence {
 public:
  // Rounds whose dirty rest is not below this part of the one before it count as slow.
  static constexpr double kShrink = 0.8;
  static constexpr std::uint32_t kSlowRounds = 3;

  // Called with each report of QEMU. True once: when kSlowRounds rounds in a row were slow, counted anew from the last
  // time.
  [[nodiscard]] bool needs_help(const wire::MigrationProgress& progress);

 private:
  std::uint32_t round_{0};
  std::uint64_t rest_bytes_{0};
  std::uint32_t slow_{0};
};

}  // namespace godwit::migrate
