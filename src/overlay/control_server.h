// The switch's control socket: lines of JSON, as wire/switch_control.h has them.
#pragma once

#include "base/log.h"
#include "sys/stream.h"
#include "sys/task.h"
#include "wire/switch_control.h"

#include <functional>
#include <memory>

namespace godwit::overlay {

// Answers the requests of each connection in order, and at most kMostConnections of them at once. One strand.
class ControlServer {
 public:
  using Handler = std::function<sys::Task<wire::SwitchReply>(wire::SwitchRequest)>;
  // Has the connection for itself: answers, and writes until it ends.
  using CaptureHandler = std::function<sys::Task<void>(wire::SwitchRequest, sys::Stream&)>;
  static constexpr std::size_t kLineLimit = std::size_t{4} << 20U;
  static constexpr std::size_t kMostConnections = 16;

  // `handler` fills everything of a reply but its id. `clock` outlives the server.
  ControlServer(const sys::Executor& executor, sys::Clock& clock, std::unique_ptr<sys::Listener> listener,
                Handler handler, CaptureHandler capture_handler, Log log);

  void start();
  [[nodiscard]] sys::Task<void> stop();

 private:
  [[nodiscard]] sys::Task<void> serve(std::unique_ptr<sys::Stream> stream);

  sys::Clock& clock_;
  std::unique_ptr<sys::Listener> listener_;
  Handler handler_;
  CaptureHandler capture_handler_;
  Log log_;
  sys::Gate gate_;
};

}  // namespace godwit::overlay
