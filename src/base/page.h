// 4 KiB of guest memory or of disk: the same thing to everything that compares content.
#pragma once

#include <cstddef>

namespace godwit {

inline constexpr std::size_t kPage_bytes = 4096;

}  // namespace godwit
