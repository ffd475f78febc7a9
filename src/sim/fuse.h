// Ends a host's disk after so many writes, as if its power failed then: so a test finds every place at which it can.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <limits>

namespace godwit::sim {

// Shared by the seams of one host that write.
struct Fuse {
  std::uint64_t writes_left{std::numeric_limits<std::uint64_t>::max()};
  std::uint64_t writes{0};  // that went through
  bool blown{false};

  // Before each write. Errors: io, from the first that is one too many.
  [[nodiscard]] Result<> pass() {
    if (blown || writes_left == 0) {
      blown = true;
      return fail(Errc::io, "the power has failed");
    }
    --writes_left;
    ++writes;
    return {};
  }
};

}  // namespace godwit::sim
