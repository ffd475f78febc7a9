// Frames that follow their length, of four bytes, on a stream.
#pragma once

#include "sys/stream.h"

#include <string_view>

namespace godwit::sys {

// One frame without its length. `protocol`, a literal, says in errors whose it is. Errors: protocol (empty, or longer
// than `limit_bytes`), and those of the stream.
[[nodiscard]] Task<Result<ByteVector>> read_frame(Stream& stream, std::size_t limit_bytes, std::string_view protocol);

}  // namespace godwit::sys
