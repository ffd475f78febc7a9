// Datagrams over a byte stream, for hosts whose UDP is blocked: u16 length (big-endian, not 0), datagram. Both ends'.
// Format: docs/protocols/relay.md.
#pragma once

#include "sys/stream.h"
#include "sys/task.h"

#include <memory>

namespace godwit::overlay {

class DatagramStream {
 public:
  static constexpr std::size_t kQueueBytes = std::size_t{256} << 10U;  // that wait to be written

  DatagramStream(const sys::Executor& executor, std::unique_ptr<sys::Stream> stream)
      : stream_(std::move(stream)), changed_(executor) {}

  // The next datagram. Errors: as read_some(), protocol.
  [[nodiscard]] sys::Task<Result<>> read(ByteVector& into);
  // False: dropped, as a network would; the stream takes it too slowly, or is closed.
  bool post(ByteView datagram);
  // Writes what is posted until the stream is closed, by either side.
  [[nodiscard]] sys::Task<void> write_all();
  void close();

 private:
  std::unique_ptr<sys::Stream> stream_;
  ByteVector queue_;  // framed
  bool closed_{false};
  sys::Signal changed_;
};

}  // namespace godwit::overlay
