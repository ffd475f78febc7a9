// Lines of bounded length out of a stream of bytes: the framing of QEMU's monitor, control sockets and watches.
#pragma once

#include "sys/stream.h"

#include <optional>
#include <string>
#include <string_view>

namespace godwit::sys {

// Cuts what comes in pieces. Each byte is looked at once, however small the pieces are. Pure.
class LineBuffer {
 public:
  explicit LineBuffer(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  void add(std::string_view piece);
  // The next whole line without its newline, valid until the next call of either; nothing where there is none yet.
  // Errors: protocol, where a line is longer than the limit.
  [[nodiscard]] Result<std::optional<std::string_view>> next();

 private:
  std::size_t limit_bytes_;
  std::string pending_;
  std::size_t begin_{0};     // of the next line
  std::size_t searched_{0};  // there is no newline between it and here
};

class LineReader {
 public:
  // `stream` outlives it.
  LineReader(Stream& stream, std::size_t limit_bytes);

  // Without its newline, valid until the next call. Errors: those of the stream; protocol (longer than the limit).
  [[nodiscard]] Task<Result<std::string_view>> next();

 private:
  Stream& stream_;
  LineBuffer lines_;
  ByteVector piece_;
};

}  // namespace godwit::sys
