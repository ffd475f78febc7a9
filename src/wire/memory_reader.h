// What a channel of a migration's memory carries is told by its first bytes.
#pragma once

#include "wire/stretches.h"

#include <memory>

namespace godwit::wire {

// For one connection from the source, whichever it is: main channel, multifd, or another, of which all is `other`.
[[nodiscard]] std::unique_ptr<StretchReader> read_memory();

}  // namespace godwit::wire
