// GODWIT_ASSERT: a bug ends the process at once, in release builds too. Never for what comes from outside.
#pragma once

namespace godwit {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}  // namespace godwit

#define GODWIT_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::godwit::assertion_failed(#expression, __FILE__, __LINE__))
