#include "sys/frames.h"

#include <array>

namespace godwit::sys {

Task<Result<ByteVector>> read_frame(Stream& stream, std::size_t limit_bytes, std::string_view protocol) {
  std::array<std::byte, 4> length{};
  auto read = co_await read_exactly(stream, length);
  if (!read) co_return pass(read);
  const std::size_t size = load_be32(length);
  if (size == 0 || size > limit_bytes) {
    co_return fail(Errc::protocol, "{}: a frame of {} bytes where 1 to {} are allowed", protocol, size, limit_bytes);
  }
  ByteVector frame(size);
  read = co_await read_exactly(stream, frame);
  if (!read) co_return pass(read);
  co_return frame;
}

}  // namespace godwit::sys
