#include "sys/lines.h"

namespace godwit::sys {
namespace {

constexpr std::size_t kReadBytes = 64UL * 1024;

}  // namespace

void LineBuffer::add(std::string_view piece) {
  pending_.erase(0, begin_);
  searched_ -= begin_;
  begin_ = 0;
  pending_ += piece;
}

Result<std::optional<std::string_view>> LineBuffer::next() {
  const auto end = pending_.find('\n', searched_);
  const auto size = std::min(end, pending_.size()) - begin_;
  if (size > limit_bytes_) return fail(Errc::protocol, "a line of more than {} bytes", limit_bytes_);
  if (end == std::string::npos) {
    searched_ = pending_.size();
    return std::nullopt;
  }
  const auto line = std::string_view(pending_).substr(begin_, size);
  begin_ = end + 1;
  searched_ = begin_;
  return line;
}

LineReader::LineReader(Stream& stream, std::size_t limit_bytes)
    : stream_(stream), lines_(limit_bytes), piece_(kReadBytes) {}

Task<Result<std::string_view>> LineReader::next() {
  for (;;) {
    const auto line = lines_.next();
    if (!line) co_return pass(line);
    if (*line) co_return **line;
    const auto count = co_await stream_.read_some(piece_);
    if (!count) co_return pass(count);
    lines_.add(as_text(ByteView(piece_).first(*count)));
  }
}

}  // namespace godwit::sys
