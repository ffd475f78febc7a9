// Waits, in a simulated world, for what costs more to look at than a simulated event: so it is looked at now and then.
#pragma once

#include "sim/world.h"

#include <functional>

namespace godwit::simtest {

// False: not within `limit`.
[[nodiscard]] inline bool within(sim::World& world, Nanos limit, Nanos look, const std::function<bool()>& holds) {
  const auto deadline = world.now() + limit;
  while (!holds()) {
    if (world.now() >= deadline) return false;
    world.run_for(look);
  }
  return true;
}

}  // namespace godwit::simtest
