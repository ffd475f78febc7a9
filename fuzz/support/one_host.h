// A simulated host with one process, for targets that need a runtime: files, unix sockets, a clock that jumps.
#pragma once

#include "base/assert.h"
#include "sim/host.h"
#include "sim/world.h"

namespace godwit::fuzz {

class OneHost {
 public:
  [[nodiscard]] sys::Runtime& runtime() { return process_.runtime(); }
  [[nodiscard]] sim::Files& files() { return host_.files(); }

  // Until `task` has ended, which it must within a minute of virtual time.
  void run(sys::Task<void> task) {
    bool ended = false;
    process_.spawn(whole(std::move(task), ended));
    GODWIT_ASSERT(world_.run_until([&] { return ended; }, Seconds{60}));
  }
  void spawn(sys::Task<void> task) { process_.spawn(std::move(task)); }

 private:
  class Bare final : public sim::Program {};

  static sys::Task<void> whole(sys::Task<void> task, bool& ended) {
    co_await std::move(task);
    ended = true;
  }

  sim::World world_{1};
  sim::Host& host_{world_.add_host("a1", "a", "10.1.0.2")};
  sim::Process& process_{
      host_.start("agent", {"a1.cloud-a.godwit", "cloud-a"}, [](sim::Process&) { return std::make_unique<Bare>(); })};
};

}  // namespace godwit::fuzz
