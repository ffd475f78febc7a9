#include "os/socket.h"

#include "os/awaiting.h"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>

namespace godwit::os {
namespace asio = boost::asio;
namespace {

constexpr Millis kDescriptorWait{100};  // for others to close theirs

struct Plain {
  Socket socket;
  std::string label;
};

sys::Task<Result<std::size_t>> read_from(std::shared_ptr<Plain> plain, ByteSpan into) {
  auto [error, count] = co_await plain->socket.async_read_some(asio::buffer(into.data(), into.size()), kAwait);
  if (!error) co_return count;
  co_await unless_cancelled();
  co_return failure(error, "read from " + plain->label);
}

sys::Task<Result<>> write_to(std::shared_ptr<Plain> plain, ByteView bytes) {
  auto [error, count] = co_await asio::async_write(plain->socket, asio::buffer(bytes.data(), bytes.size()), kAwait);
  if (!error) co_return Result<>{};
  co_await unless_cancelled();
  co_return failure(error, "write to " + plain->label);
}

sys::Task<Result<>> shut_down(std::shared_ptr<Plain> plain) {
  boost::system::error_code error;
  plain->socket.shutdown(Socket::shutdown_send, error);
  if (error) co_return failure(error, "shut down " + plain->label);
  co_return Result<>{};
}

class PlainStream final : public sys::Stream {
 public:
  explicit PlainStream(std::shared_ptr<Plain> plain) : plain_(std::move(plain)) {}
  ~PlainStream() override { PlainStream::close(); }

  sys::Task<Result<std::size_t>> read_some(ByteSpan into) override { return read_from(plain_, into); }
  sys::Task<Result<>> write(ByteView bytes) override { return write_to(plain_, bytes); }
  sys::Task<Result<>> shutdown_write() override { return shut_down(plain_); }
  void close() override {
    boost::system::error_code ignored;
    plain_->socket.close(ignored);
  }

 private:
  std::shared_ptr<Plain> plain_;  // shared with pending operations, which may outlive the stream
};

}  // namespace

Socket adopt_socket(const sys::Executor& executor, Descriptor connected, int family) {
  return {executor, asio::generic::stream_protocol(family, 0), connected.release()};
}

std::unique_ptr<sys::Stream> plain_stream(Socket socket, std::string label) {
  auto plain = std::make_shared<Plain>(Plain{std::move(socket), std::move(label)});
  return std::make_unique<PlainStream>(std::move(plain));
}

struct Acceptor::Impl {
  asio::posix::stream_descriptor listening;
  int family;
  std::string label;
};

namespace {

bool died_in_queue(int error) {
  return error == ECONNABORTED || error == EINTR || error == EPROTO || error == ENETDOWN || error == EHOSTUNREACH ||
         error == ENETUNREACH;
}

bool out_of_descriptors(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

}  // namespace

Acceptor::Acceptor(const sys::Executor& executor, Descriptor listening, int family, std::string label) {
  asio::posix::stream_descriptor descriptor(executor, listening.release());
  impl_ = std::make_shared<Impl>(Impl{std::move(descriptor), family, std::move(label)});
}

Acceptor::~Acceptor() { close(); }

void Acceptor::close() {
  boost::system::error_code ignored;
  impl_->listening.close(ignored);
}

sys::Task<Result<Socket>> Acceptor::accept() {
  struct Loop {
    static sys::Task<Result<Socket>> run(std::shared_ptr<Impl> impl) {
      const auto executor = impl->listening.get_executor();
      while (impl->listening.is_open()) {
        Descriptor connected(
            ::accept4(impl->listening.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (connected) co_return adopt_socket(executor, std::move(connected), impl->family);
        const int error = errno;
        if (died_in_queue(error)) continue;
        if (out_of_descriptors(error)) {
          asio::steady_timer others(executor, kDescriptorWait);
          co_await others.async_wait(kAwait);
          continue;
        }
        if (error != EAGAIN) co_return fail_errno(error, "accept on " + impl->label);
        co_await impl->listening.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
      }
      co_await unless_cancelled();
      co_return fail(Errc::cancelled, "accept on {}: closed on this side", impl->label);
    }
  };
  return Loop::run(impl_);
}

}  // namespace godwit::os
