#include "os/processes.h"

#include "os/awaiting.h"
#include "os/spawn.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <csignal>

namespace godwit::os {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kOutputBytes = 1024UL * 1024;
constexpr std::size_t kLastLineBytes = 300;

bool running(sys::ProcessId id) {
  const auto stat = stat_process(id.pid);
  return stat && stat->start_ticks == id.start_ticks && stat->state != 'Z' && stat->state != 'X';
}

// The process itself, not whoever has its number later; empty when it is gone.
Descriptor open_process(sys::ProcessId id) {
  if (id.pid <= 0) return {};
  Descriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, id.pid, 0)));
  if (!pidfd || !running(id)) return {};
  return pidfd;
}

siginfo_t reap(int pidfd) {
  siginfo_t ended{};
  ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &ended, WEXITED | WNOHANG);
  return ended;
}

// Leaves the child to be reaped.
bool has_ended(int pidfd) {
  siginfo_t ended{};
  ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &ended, WEXITED | WNOHANG | WNOWAIT);
  return ended.si_pid != 0;
}

// A wait may wake early: a pidfd that was just registered has been seen to. So each looks again.

// Reaps the child when it ends, so that it does not stay a zombie.
void reap_when_gone(std::shared_ptr<asio::posix::stream_descriptor> child) {
  auto& waiting = *child;
  waiting.async_wait(asio::posix::stream_descriptor::wait_read,
                     [child = std::move(child)](const boost::system::error_code& error) {
                       if (!error && reap(child->native_handle()).si_pid == 0) reap_when_gone(child);
                     });
}

sys::Task<void> until_gone(sys::ProcessId id) {
  const auto executor = co_await asio::this_coro::executor;
  Descriptor pidfd = open_process(id);
  if (!pidfd) co_return;
  asio::posix::stream_descriptor process(executor, pidfd.release());
  while (running(id)) co_await process.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
}

// A program that runs to its end; destroyed before that, it is killed with its process group.
class Run {
 public:
  Run(const sys::Executor& executor, Spawned spawned, Descriptor pipe)
      : pid_(spawned.id.pid), process(executor, spawned.pidfd.release()), output(executor, pipe.release()) {}
  ~Run() {
    if (reaped_) return;
    ::kill(-pid_, SIGKILL);
    reap_when_gone(std::make_shared<asio::posix::stream_descriptor>(std::move(process)));
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // Only once the process has ended.
  [[nodiscard]] siginfo_t take_status() {
    reaped_ = true;
    return reap(process.native_handle());
  }

 private:
  int pid_;
  bool reaped_{false};

 public:
  asio::posix::stream_descriptor process;
  asio::posix::stream_descriptor output;
  std::string text;
};

// Errors: exhausted.
Result<> take(Run& run, const std::array<char, 16384>& buffer, std::size_t count) {
  run.text.append(buffer.data(), count);
  if (run.text.size() > kOutputBytes) return fail(Errc::exhausted, "more than {} bytes of output", kOutputBytes);
  return {};
}

sys::Task<Result<>> read_to_end(Run& run) {
  std::array<char, 16384> buffer{};
  for (;;) {
    auto [error, count] = co_await run.output.async_read_some(asio::buffer(buffer), kAwait);
    if (error) break;
    auto taken = take(run, buffer, count);
    if (!taken) co_return taken;
  }
  co_await unless_cancelled();
  co_return Result<>{};
}

// What the program wrote before it ended. Somebody else may still hold the pipe, so the end of file is not awaited.
Result<> read_rest(Run& run) {
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto count = ::read(run.output.native_handle(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return {};
    auto taken = take(run, buffer, static_cast<std::size_t>(count));
    if (!taken) return taken;
  }
}

sys::Task<void> until_ended(Run& run) {
  while (!has_ended(run.process.native_handle())) {
    co_await run.process.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
  }
}

sys::Task<void> until_late(Nanos limit) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, limit);
  co_await timer.async_wait(asio::use_awaitable);
}

std::string last_line(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with(' ')) text.remove_suffix(1);
  if (const auto newline = text.rfind('\n'); newline != std::string_view::npos) text.remove_prefix(newline + 1);
  return std::string(text.substr(0, kLastLineBytes));
}

Result<> judge(const siginfo_t& ended, const Run& run) {
  if (ended.si_code == CLD_EXITED && ended.si_status == 0) return {};
  const auto said = last_line(run.text);
  if (ended.si_code == CLD_EXITED) {
    return fail(Errc::io, "exit code {}{}{}", ended.si_status, said.empty() ? "" : ": ", said);
  }
  return fail(Errc::io, "killed by signal {}{}{}", ended.si_status, said.empty() ? "" : ": ", said);
}

// Until the program has ended and all that it wrote is in run.text.
sys::Task<Result<>> collect(Run& run) {
  using namespace asio::experimental::awaitable_operators;
  auto race = read_to_end(run) || until_ended(run);
  auto first = co_await std::move(race);
  if (first.index() == 0) {
    auto read = std::get<0>(std::move(first));
    if (!read) co_return read;
    co_await until_ended(run);
  } else {
    auto rest = read_rest(run);
    if (!rest) co_return rest;
  }
  co_return judge(run.take_status(), run);
}

sys::Task<Result<std::string>> run_to_end(sys::ProcessSpec spec, Nanos limit) {
  using namespace asio::experimental::awaitable_operators;
  const auto executor = co_await asio::this_coro::executor;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) co_return fail_errno(errno, "make a pipe");
  Descriptor ours(ends[0]);
  Descriptor theirs(ends[1]);
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  auto spawned = spawn_process(spec, theirs.get());
  if (!spawned) co_return pass(spawned);
  theirs.reset();

  Run run(executor, std::move(*spawned), std::move(ours));
  auto race = collect(run) || until_late(limit);
  auto outcome = co_await std::move(race);
  if (outcome.index() == 1) {
    co_return fail(Errc::timed_out, "run {}: still running after {:.0f} ms, killed", spec.argv[0], to_ms(limit));
  }
  const auto collected = std::get<0>(std::move(outcome));
  if (!collected) co_return fail(collected, "run " + spec.argv[0]);
  co_return std::move(run.text);
}

}  // namespace

Result<sys::ProcessId> SystemProcesses::spawn(const sys::ProcessSpec& spec) {
  auto spawned = spawn_process(spec, -1);
  if (!spawned) return pass(spawned);
  reap_when_gone(std::make_shared<asio::posix::stream_descriptor>(executor_, spawned->pidfd.release()));
  return spawned->id;
}

sys::Task<Result<std::string>> SystemProcesses::run(sys::ProcessSpec spec, Nanos limit) {
  return run_to_end(std::move(spec), limit);
}

bool SystemProcesses::alive(sys::ProcessId id) const { return running(id); }

void SystemProcesses::signal(sys::ProcessId id, int number) {
  const Descriptor pidfd = open_process(id);
  if (pidfd) ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0);
}

sys::Task<void> SystemProcesses::wait_gone(sys::ProcessId id) { return until_gone(id); }

}  // namespace godwit::os
