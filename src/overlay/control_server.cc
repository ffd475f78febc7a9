#include "overlay/control_server.h"

#include "sys/lines.h"

namespace godwit::overlay {
ControlServer::ControlServer(const sys::Executor& executor, std::unique_ptr<sys::Listener> listener, Handler handler,
                             CaptureHandler capture_handler, Log log)
    : listener_(std::move(listener)),
      handler_(std::move(handler)),
      capture_handler_(std::move(capture_handler)),
      log_(std::move(log)),
      gate_(executor) {}

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
  sys::LineReader lines(*stream, kLineLimit);
  for (;;) {
    const auto line = co_await lines.next();
    if (!line) {
      if (line.error().code == Errc::protocol) log_.warn("control socket: {}: it is closed", line.error().message);
      co_return;
    }
    auto request = wire::decode<wire::SwitchRequest>(*line, kLineLimit);
    wire::SwitchReply reply;
    if (!request) {
      reply.error = request.error().message;
    } else if (request->op == wire::SwitchOp::capture) {
      co_await capture_handler_(std::move(*request), *stream);
      co_return;
    } else {
      const auto id = request->id;
      reply = co_await handler_(std::move(*request));
      reply.id = id;
    }
    const auto text = wire::encode(reply) + "\n";
    const auto written = co_await stream->write(as_bytes(text));
    if (!written) co_return;
  }
}

}  // namespace godwit::overlay
