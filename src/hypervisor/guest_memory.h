// Where a QEMU keeps its guest's memory, in its own.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace godwit::hypervisor {

// A part of a process's memory, in bytes from 0: what /proc/PID/mem is read at.
struct MemoryRange {
  std::uint64_t begin{0};
  std::uint64_t end{0};

  bool operator==(const MemoryRange&) const = default;
};

// From the text of its /proc/PID/maps: what can be read and written, not run, and is large in one piece.
// Errors: not_found.
[[nodiscard]] Result<std::vector<MemoryRange>> guest_memory(std::string_view maps);

}  // namespace godwit::hypervisor
