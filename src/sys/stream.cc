#include "sys/stream.h"

namespace godwit::sys {

Task<Result<>> read_exactly(Stream& stream, ByteSpan into) {
  while (!into.empty()) {
    const auto count = co_await stream.read_some(into);
    if (!count) co_return pass(count);
    into = into.subspan(*count);
  }
  co_return Result<>{};
}

}  // namespace godwit::sys
