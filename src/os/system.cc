#include "os/system.h"

#include "base/assert.h"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <optional>

namespace godwit::os {
namespace asio = boost::asio;

struct System::Impl {
  explicit Impl(const SystemOptions& options)
      : sink(options.log_level),
        log(sink, options.component),
        processes(context.get_executor()),
        local(context.get_executor()),
        peers(context.get_executor(), clock, log.named("peers")),
        http(context.get_executor(), clock, log.named("http")),
        signals(context, SIGINT, SIGTERM),
        stop(context.get_executor()) {
    ::signal(SIGPIPE, SIG_IGN);  // a peer that hangs up is an error of one write, not our end
    wait_for_signal();
  }

  void wait_for_signal() {
    signals.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      if (stopping) ::_exit(128 + number);
      log.info("stopping on signal {}; another one ends this process at once", number);
      stopping = true;
      stop.notify();
      wait_for_signal();
    });
  }

  // Before the loop: coroutines that are destroyed with it refer to these. After it: what has sockets on it.
  StderrLog sink;
  Log log;
  SystemClock clock;
  SystemRandom random;
  SystemFiles files;
  SystemPageFiles page_files;
  SystemTaps taps;
  asio::io_context context{1};
  SystemProcesses processes;
  SystemLocalSockets local;
  TcpPeerNetwork peers;
  SystemHttp http;
  asio::signal_set signals;
  sys::Signal stop;
  bool stopping{false};
};

System::System(SystemOptions options) : impl_(std::make_unique<Impl>(options)) {}
System::~System() = default;

sys::Runtime System::runtime() {
  auto& at = *impl_;
  return {at.context.get_executor(),
          at.clock,
          at.random,
          at.files,
          at.page_files,
          at.processes,
          at.local,
          at.peers,
          at.http,
          at.taps,
          at.log};
}

Result<> System::use_identity(const TlsIdentity& identity) {
  auto for_peers = impl_->peers.use_identity(identity);
  if (!for_peers) return for_peers;
  return impl_->http.use_identity(identity);
}

int System::run(const std::function<sys::Task<int>(System&)>& main) {
  std::optional<int> result;
  std::exception_ptr bug;
  asio::co_spawn(impl_->context, main(*this), [&](std::exception_ptr thrown, int code) {
    bug = std::move(thrown);
    result = code;
    impl_->context.stop();
  });
  impl_->context.restart();
  impl_->context.run();
  if (bug) std::rethrow_exception(bug);
  // What was cancelled while main() ended unwinds now, while all that it refers to is alive.
  impl_->context.restart();
  impl_->context.poll();
  GODWIT_ASSERT(result.has_value());
  return *result;
}

sys::Task<void> System::stop_requested() {
  struct Wait {
    static sys::Task<void> run(Impl& at) {
      while (!at.stopping) co_await at.stop.wait();
    }
  };
  return Wait::run(*impl_);
}

}  // namespace godwit::os
