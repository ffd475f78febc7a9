// An NBD client that reads, many reads at a time, as QEMU does. Source: the NBD protocol, as in wire/nbd_server.h.
#pragma once

#include "sys/runtime.h"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace godwit::sim {

class NbdClient final {
 public:
  static sys::Task<Result<std::unique_ptr<NbdClient>>> dial(sys::Runtime& runtime, std::string socket,
                                                            std::string name) {
    auto stream = co_await runtime.local.dial(socket);
    if (!stream) co_return pass(stream);
    std::unique_ptr<NbdClient> client(new NbdClient(runtime, std::move(*stream)));
    const auto begun = co_await client->begin(std::move(name));
    if (!begun) co_return pass(begun);
    client->gate_.spawn(client->hear());
    co_return std::move(client);
  }
  ~NbdClient() { gate_.cancel(); }
  NbdClient(const NbdClient&) = delete;
  NbdClient& operator=(const NbdClient&) = delete;

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }

  // Errors: closed, where the server has gone before it has answered; io, where it has refused.
  sys::Task<Result<ByteVector>> read(std::uint64_t offset, std::uint32_t length) {
    const auto cookie = ++last_cookie_;
    ByteVector request;
    append_be32(request, 0x25609513);
    append_be32(request, 0);
    append_be64(request, cookie);
    append_be64(request, offset);
    append_be32(request, length);
    waiting_[cookie].length = length;
    while (writing_) co_await changed_.wait();
    writing_ = true;
    const auto written = co_await stream_->write(request);
    writing_ = false;
    changed_.notify();
    if (!written) lost_ = true;
    while (!waiting_[cookie].answer && !lost_) co_await changed_.wait();
    auto answer = std::move(waiting_[cookie].answer);
    waiting_.erase(cookie);
    if (!answer) co_return fail(Errc::closed, "the server has gone");
    co_return std::move(*answer);
  }
  void close() { stream_->close(); }

 private:
  struct Waiting {
    std::uint32_t length{0};
    std::optional<Result<ByteVector>> answer;
  };

  NbdClient(sys::Runtime& runtime, std::unique_ptr<sys::Stream> stream)
      : stream_(std::move(stream)), changed_(runtime.executor), gate_(runtime.executor) {}

  sys::Task<Result<>> begin(std::string name) {
    ByteVector greeting(18);
    const auto greeted = co_await sys::read_exactly(*stream_, greeting);
    if (!greeted) co_return greeted;
    ByteVector options;
    append_be32(options, 3);
    append(options, as_bytes("IHAVEOPT"));
    append_be32(options, 7);
    append_be32(options, static_cast<std::uint32_t>(name.size() + 6));
    append_be32(options, static_cast<std::uint32_t>(name.size()));
    append(options, as_bytes(name));
    append_be16(options, 0);
    const auto asked = co_await stream_->write(options);
    if (!asked) co_return asked;
    for (;;) {
      ByteVector head(20);
      const auto replied = co_await sys::read_exactly(*stream_, head);
      if (!replied) co_return replied;
      ByteVector data(load_be32(ByteView(head).subspan(16)));
      const auto read = co_await sys::read_exactly(*stream_, data);
      if (!read) co_return read;
      const auto type = load_be32(ByteView(head).subspan(12));
      if (type == 1) co_return Result<>{};
      if (type != 3) co_return fail(Errc::not_found, "option refused: {:#x}", type);
      if (load_be16(data) == 0) size_bytes_ = load_be64(ByteView(data).subspan(2));
    }
  }

  sys::Task<void> hear() {
    for (;;) {
      ByteVector head(16);
      const auto read = co_await sys::read_exactly(*stream_, head);
      if (!read) break;
      const auto found = waiting_.find(load_be64(ByteView(head).subspan(8)));
      if (load_be32(head) != 0x67446698 || found == waiting_.end()) break;
      const auto error = load_be32(ByteView(head).subspan(4));
      ByteVector bytes(error == 0 ? found->second.length : 0);
      const auto whole = co_await sys::read_exactly(*stream_, bytes);
      if (!whole) break;
      const auto again = waiting_.find(load_be64(ByteView(head).subspan(8)));
      if (again == waiting_.end()) continue;
      if (error == 0) {
        again->second.answer = std::move(bytes);
      } else {
        again->second.answer = fail(Errc::io, "refused: {}", error);
      }
      changed_.notify();
    }
    lost_ = true;
    changed_.notify();
  }

  std::unique_ptr<sys::Stream> stream_;
  std::uint64_t size_bytes_{0};
  std::uint64_t last_cookie_{0};
  std::map<std::uint64_t, Waiting> waiting_;
  bool writing_{false};
  bool lost_{false};
  sys::Signal changed_;
  sys::Gate gate_;
};

}  // namespace godwit::sim
