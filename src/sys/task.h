// Coroutines and what starts, joins, times and wakes them. One strand a process: nothing here is thread-safe.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "sys/clock.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

namespace godwit::sys {

// Holds every coroutine that an object started. To stop is to close the gate: each is cancelled (its pending operation
// throws boost::system::system_error(operation_aborted), which unwinds it) and close() returns when the last has ended.
// Destroy only after close(), or together with the executor (as a crash in the simulation does).
class Gate {
 public:
  explicit Gate(Executor executor);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Runs `task` until it ends or the gate closes. On a closed gate the task is dropped unstarted.
  // An exception other than cancellation is a bug and ends the process.
  void spawn(Task<void> task);
  [[nodiscard]] Task<void> close();
  // What close() does first, for destructors, which cannot wait: from now on nothing starts and all that runs is
  // cancelled. The gate may then be destroyed; the tasks unwind when the executor next runs, and must own what they
  // touch.
  void cancel();
  [[nodiscard]] std::size_t running() const;
  [[nodiscard]] const Executor& executor() const { return executor_; }

 private:
  struct State;
  Executor executor_;
  std::shared_ptr<State> state_;  // shared with the completion handlers, which may outlive the gate in a crash
};

// A condition that coroutines wait for: notify() wakes all that wait now. No memory: check the state first, then wait.
class Signal {
 public:
  explicit Signal(const Executor& executor);
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void notify();
  [[nodiscard]] Task<void> wait();
  // Returns when notified or at `deadline`, whichever is first.
  [[nodiscard]] Task<void> wait_until(Clock& clock, TimePoint deadline);

 private:
  struct Impl;
  [[nodiscard]] Task<void> rest();

  std::unique_ptr<Impl> impl_;
};

// Throws what a cancelled operation throws when the coroutine that awaits this was cancelled.
[[nodiscard]] Task<void> throw_if_cancelled();

// `task`, cancelled and turned into Errc::timed_out ("what: no answer within N ms") when `limit` passes first.
template <class T>
[[nodiscard]] Task<Result<T>> within(Clock& clock, Nanos limit, std::string what, Task<Result<T>> task);

}  // namespace godwit::sys

#include "sys/within.h"
