// A stream that gives bytes of an input in pieces, and keeps what is written.
#pragma once

#include "sys/stream.h"

#include <algorithm>

namespace godwit::fuzz {

class ByteStream final : public sys::Stream {
 public:
  // Pieces of at most `piece_bytes`, at least 1. `bytes` outlive the stream.
  ByteStream(ByteView bytes, std::size_t piece_bytes) : rest_(bytes), piece_bytes_(piece_bytes) {}

  [[nodiscard]] sys::Task<Result<std::size_t>> read_some(ByteSpan into) override {
    const auto size = std::min({into.size(), rest_.size(), piece_bytes_});
    if (size == 0) co_return fail(Errc::closed, "the input's end");
    std::copy_n(rest_.begin(), size, into.begin());
    rest_ = rest_.subspan(size);
    co_return size;
  }
  // Errors: exhausted beyond kMostWritten: few bytes may stand for many.
  [[nodiscard]] sys::Task<Result<>> write(ByteView bytes) override {
    if (written_.size() + bytes.size() > kMostWritten) co_return fail(Errc::exhausted, "written enough");
    append(written_, bytes);
    co_return Result<>{};
  }
  [[nodiscard]] sys::Task<Result<>> shutdown_write() override { co_return Result<>{}; }
  void close() override { rest_ = {}; }

  [[nodiscard]] ByteView written() const { return written_; }

 private:
  static constexpr std::size_t kMostWritten = 1024UL * 1024;

  ByteView rest_;
  std::size_t piece_bytes_;
  ByteVector written_;
};

}  // namespace godwit::fuzz
