// What a process that serves somebody hostile gives up, before it serves.
#pragma once

#include "base/result.h"

namespace godwit::os {

// For good, and for all threads and children: no other program is run, no process started, traced or given a signal, no
// socket made but unix ones, nothing mounted, no privilege gained; what asks for it gets EPERM. And no more than
// `memory_bytes` of address space that is written. Errors: unsupported (another machine than x86-64), io.
[[nodiscard]] Result<> confine(std::size_t memory_bytes);

}  // namespace godwit::os
