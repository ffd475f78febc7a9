#include "overlay/datagram_stream.h"

#include <array>
#include <utility>

namespace godwit::overlay {
namespace {

constexpr std::size_t kLengthBytes = 2;

}  // namespace

sys::Task<Result<>> DatagramStream::read(ByteVector& into) {
  std::array<std::byte, kLengthBytes> length{};
  auto got = co_await sys::read_exactly(*stream_, length);
  if (!got) co_return got;
  const auto size = load_be16(length);
  if (size == 0) co_return fail(Errc::protocol, "read a datagram: it has no bytes");
  into.resize(size);
  co_return co_await sys::read_exactly(*stream_, into);
}

bool DatagramStream::post(ByteView datagram) {
  const bool fits = datagram.size() <= 0xffff && queue_.size() + datagram.size() + kLengthBytes <= kQueueBytes;
  if (closed_ || datagram.empty() || !fits) return false;
  append_be16(queue_, static_cast<std::uint16_t>(datagram.size()));
  append(queue_, datagram);
  changed_.notify();
  return true;
}

sys::Task<void> DatagramStream::write_all() {
  while (!closed_) {
    if (queue_.empty()) {
      co_await changed_.wait();
      continue;
    }
    const auto bytes = std::exchange(queue_, {});
    const auto written = co_await stream_->write(bytes);
    if (!written) close();
  }
}

void DatagramStream::close() {
  if (std::exchange(closed_, true)) return;
  stream_->close();
  changed_.notify();
}

}  // namespace godwit::overlay
