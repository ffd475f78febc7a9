#include "overlay/control_server.h"

namespace godwit::overlay {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10U;

}  // namespace

ControlServer::ControlServer(const sys::Executor& executor, std::unique_ptr<sys::Listener> listener, Handler handler,
                             Log log)
    : listener_(std::move(listener)), handler_(std::move(handler)), log_(std::move(log)), gate_(executor) {}

sys::Task<void> ControlServer::stop() {
  listener_->close();
  co_await gate_.close();
}

sys::Task<void> ControlServer::accept() {
  for (;;) {
    auto stream = co_await listener_->accept();
    if (!stream) co_return;
    if (gate_.running() > kMostConnections) {  // accept() itself is one of them
      log_.warn("control socket: more than {} connections: one is refused", kMostConnections);
      continue;
    }
    gate_.spawn(serve(std::move(*stream)));
  }
}

sys::Task<void> ControlServer::serve(std::unique_ptr<sys::Stream> stream) {
  std::string buffer;
  ByteVector chunk(kReadBytes);
  for (;;) {
    const auto count = co_await stream->read_some(chunk);
    if (!count) co_return;
    buffer += as_text(ByteView(chunk).first(*count));
    const auto answered = co_await answer_lines(*stream, buffer);
    if (!answered) co_return;
    if (buffer.size() > kLineLimit) {
      log_.warn("control socket: a line of more than {} bytes: the connection is closed", kLineLimit);
      co_return;
    }
  }
}

sys::Task<Result<>> ControlServer::answer_lines(sys::Stream& stream, std::string& buffer) {
  std::size_t start = 0;
  for (auto end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n', start)) {
    auto line = buffer.substr(start, end - start);
    start = end + 1;
    const auto reply = co_await answer(std::move(line));
    const auto text = wire::encode(reply) + "\n";
    const auto written = co_await stream.write(as_bytes(text));
    if (!written) co_return written;
  }
  buffer.erase(0, start);
  co_return Result<>{};
}

sys::Task<wire::SwitchReply> ControlServer::answer(std::string line) {
  auto request = wire::decode<wire::SwitchRequest>(line, kLineLimit);
  if (!request) {
    wire::SwitchReply refused;
    refused.error = request.error().message;
    co_return refused;
  }
  const auto id = request->id;
  auto reply = co_await handler_(std::move(*request));
  reply.id = id;
  co_return reply;
}

}  // namespace godwit::overlay
