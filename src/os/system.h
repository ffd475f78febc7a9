// All of sys::Runtime on Linux, and the event loop. A main() is:
//
//   os::System system({.log_level = LogLevel::info});
//   return system.run([](os::System& on) -> sys::Task<int> {
//     Agent agent(on.runtime(), …);
//     co_await on.stop_requested();
//     co_await agent.stop();
//     co_return 0;
//   });
#pragma once

#include "os/clock.h"
#include "os/files.h"
#include "os/http.h"
#include "os/local_sockets.h"
#include "os/log.h"
#include "os/page_files.h"
#include "os/peer_network.h"
#include "os/processes.h"
#include "os/taps.h"
#include "sys/runtime.h"

#include <functional>
#include <memory>

namespace godwit::os {

struct SystemOptions {
  LogLevel log_level{LogLevel::info};
  std::string component{"godwit"};  // of runtime().log
};

// One a process, on its main thread. Everything that was given the runtime must be gone before it.
class System {
 public:
  explicit System(SystemOptions options);
  ~System();
  System(const System&) = delete;
  System& operator=(const System&) = delete;

  [[nodiscard]] sys::Runtime runtime();

  // What this process shows to peers, to those who call it, and where it calls; may change while it runs.
  // Errors: invalid_argument.
  [[nodiscard]] Result<> use_identity(const TlsIdentity& identity);

  // Runs the loop until `main` has ended, and returns its result as exit code.
  [[nodiscard]] int run(const std::function<sys::Task<int>(System&)>& main);

  // Returns at the first SIGINT or SIGTERM, or at once when that was before. A second one ends the process there and
  // then.
  [[nodiscard]] sys::Task<void> stop_requested();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::os
