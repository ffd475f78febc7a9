// An NBD server of a disk of zeros, for a simulated QEMU to be on.
#pragma once

#include "sys/runtime.h"
#include "wire/nbd_server.h"

#include <memory>
#include <string>

namespace godwit::testing {

class NbdZeros final {
 public:
  NbdZeros(sys::Runtime& runtime, const std::string& socket) : gate_(runtime.executor) {
    auto listener = runtime.local.listen(socket, 0600, 0);
    if (listener) gate_.spawn(accept_all(std::shared_ptr<sys::Listener>(std::move(*listener)), &gate_));
  }
  ~NbdZeros() { gate_.cancel(); }
  NbdZeros(const NbdZeros&) = delete;
  NbdZeros& operator=(const NbdZeros&) = delete;

 private:
  static sys::Task<void> accept_all(std::shared_ptr<sys::Listener> listener, sys::Gate* gate) {
    for (;;) {
      auto stream = co_await listener->accept();
      if (!stream) co_return;
      gate->spawn(serve(std::move(*stream)));
    }
  }
  static sys::Task<void> serve(std::unique_ptr<sys::Stream> stream) {
    constexpr std::uint64_t kDisk_bytes = 1UL << 20U;
    wire::NbdServer nbd("base", kDisk_bytes);
    ByteVector buffer(4096);
    for (ByteView bytes;;) {
      const auto read = nbd.next(bytes);
      if (!read) co_return;
      auto answer = nbd.take_answers();
      if (*read) {
        const auto head = answer.size();
        answer.resize(head + wire::kNbdReply_bytes + (*read)->length);
        wire::store_nbd_reply(ByteSpan(answer).subspan(head, wire::kNbdReply_bytes), (*read)->cookie, 0);
      }
      const auto written = co_await stream->write(answer);
      if (!written) co_return;
      if (*read) continue;
      const auto count = co_await stream->read_some(buffer);
      if (!count) co_return;
      bytes = ByteView(buffer).first(*count);
    }
  }

  sys::Gate gate_;
};

}  // namespace godwit::testing
