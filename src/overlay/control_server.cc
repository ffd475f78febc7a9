#include "overlay/control_server.h"

#include "sys/accepting.h"
#include "sys/lines.h"

namespace godwit::overlay {

ControlServer::ControlServer(const sys::Executor& executor, sys::Clock& clock, std::unique_ptr<sys::Listener> listener,
                             Handler handler, CaptureHandler capture_handler, Log log)
    : clock_(clock),
      listener_(std::move(listener)),
      handler_(std::move(handler)),
      capture_handler_(std::move(capture_handler)),
      log_(std::move(log)),
      gate_(executor) {}

void ControlServer::start() {
  auto take = [this](std::unique_ptr<sys::Stream> stream) {
    if (gate_.running() > kMostConnections) {  // who accepts is one of them
      log_.warn("control socket: more than {} connections: one is refused", kMostConnections);
      return;
    }
    gate_.spawn(serve(std::move(stream)));
  };
  gate_.spawn(sys::accept_each(*listener_, clock_, log_, std::move(take)));
}

sys::Task<void> ControlServer::stop() {
  listener_->close();
  co_await gate_.close();
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
