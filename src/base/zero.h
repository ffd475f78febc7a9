// Whether bytes are all zero: pages that need no content.
#pragma once

#include "base/bytes.h"

#include <cstring>

namespace godwit {

// Not of nothing. Ends at the first byte that differs.
[[nodiscard]] inline bool is_zero(ByteView bytes) {
  return bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace godwit
