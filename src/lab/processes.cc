#include "lab/processes.h"

#include "lab/descriptor.h"
#include "lab/interrupt.h"
#include "lab/netns.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>

namespace godwit::lab {
namespace {

constexpr int kInheritedAs = 3;
constexpr Millis kLookAtOthers{200};
constexpr std::streamoff kLastWords = 500;

Nanos monotonic() { return std::chrono::steady_clock::now().time_since_epoch(); }

// Prepared before the fork: after it, nothing may allocate.
struct Image {
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
};

Image make_image(const ProcessPlan& process) {
  Image image;
  for (char** each = environ; *each; ++each) {
    const std::string_view entry(*each);
    if (!process.environment.contains(std::string(entry.substr(0, entry.find('=')))))
      image.environment.emplace_back(entry);
  }
  for (const auto& [key, value] : process.environment) image.environment.push_back(key + "=" + value);
  for (const std::string& word : process.argv) image.argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& entry : image.environment) image.envp.push_back(const_cast<char*>(entry.c_str()));
  image.argv.push_back(nullptr);
  image.envp.push_back(nullptr);
  return image;
}

void reset_signals() {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
}

// In the child of a fork. `report` closes on exec; an errno written there says that it failed.
[[noreturn]] void become(const Image& image, int netns, int log, int inherited, int report) {
  ::setsid();
  reset_signals();
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  bool ready = ::setns(netns, CLONE_NEWNET) == 0 && ::chdir("/") == 0;
  // The report moves out of the way of what is inherited; everything above is closed.
  const int safe_report = ::fcntl(report, F_DUPFD_CLOEXEC, kInheritedAs + 1);
  if (inherited == kInheritedAs) {
    ::fcntl(inherited, F_SETFD, 0);  // dup2 would leave it as it is: to be closed on exec
  } else if (inherited >= 0) {
    ready = ready && ::dup2(inherited, kInheritedAs) == kInheritedAs;
  } else {
    ::close(kInheritedAs);
  }
  for (int each = kInheritedAs + 1; each < safe_report; ++each) ::close(each);
  ::syscall(SYS_close_range, static_cast<unsigned>(safe_report) + 1, ~0U, 0U);
  if (ready) ::execvpe(image.argv[0], image.argv.data(), image.envp.data());
  const int error = errno;
  (void)!::write(safe_report, &error, sizeof(error));
  ::_exit(127);
}

void send_signal(sys::ProcessId id, int number) {
  const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, id.pid, 0)));
  // The descriptor pins the process; only then is it known to be the one that is meant.
  if (process && is_alive(id)) ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0U);
}

// Waits until all of `ids` are gone, at most until `deadline`; the ones that are left.
std::vector<sys::ProcessId> wait_gone(std::vector<sys::ProcessId> ids, Nanos deadline) {
  while (!ids.empty()) {
    const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, ids.back().pid, 0)));
    if (!process || !is_alive(ids.back())) {
      ids.pop_back();
      continue;
    }
    const Nanos left = deadline - monotonic();
    if (left <= Nanos{0}) break;
    pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
    ::poll(&ended, 1, static_cast<int>(std::chrono::ceil<Millis>(left).count()));
    // A child of ours would stay a zombie, which is_alive() takes for gone.
  }
  return ids;
}

// The last line of a log, or of as much of it as an error can show.
std::string last_words(const std::string& log_path) {
  std::ifstream file(log_path, std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : 0;
  file.seekg(std::max<std::streamoff>(0, size - kLastWords));
  std::string last = "it said nothing";
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

std::string name_of(const ProcessRecord& process) { return fmt::format("{} in {}", process.name, process.node); }

}  // namespace

std::optional<sys::ProcessId> identify(std::int32_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // proc(5): "pid (comm) state ppid …"; comm may hold anything, so the fields are counted from its last parenthesis.
  const auto comm_end = text.rfind(')');
  if (comm_end == std::string::npos) return std::nullopt;
  std::string_view rest(text);
  rest.remove_prefix(comm_end + 1);
  constexpr int kStartTimeField = 22;
  std::string_view field;
  for (int number = 3; number <= kStartTimeField; ++number) {
    const auto begin = rest.find_first_not_of(' ');
    if (begin == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(begin);
    field = rest.substr(0, rest.find(' '));
    rest.remove_prefix(field.size());
    if (number == 3 && (field == "Z" || field == "X")) return std::nullopt;
  }
  sys::ProcessId id{pid, 0};
  const auto parsed = std::from_chars(field.data(), field.data() + field.size(), id.start_ticks);
  if (parsed.ec != std::errc{}) return std::nullopt;
  return id;
}

bool is_alive(sys::ProcessId id) { return identify(id.pid) == id; }

Result<ProcessRecord> start_process(const ProcessPlan& process, const std::string& netns, const std::string& log_path,
                                    int inherited) {
  const std::string what = fmt::format("start {} in {}", process.argv[0], process.node);
  const Descriptor space(::open((std::string(kNetnsDirectory) + netns).c_str(), O_RDONLY | O_CLOEXEC));
  if (!space) return fail_errno(errno, what + ": open its namespace");
  const Descriptor log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log) return fail_errno(errno, what + ": open " + log_path);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, what + ": pipe");
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const Image image = make_image(process);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, what + ": fork");
  if (child == 0) become(image, space.get(), log.get(), inherited, writing.get());
  writing = Descriptor();
  int error = 0;
  ssize_t got = ::read(reading.get(), &error, sizeof(error));
  while (got < 0 && errno == EINTR) got = ::read(reading.get(), &error, sizeof(error));
  if (got > 0) {
    ::waitpid(child, nullptr, 0);
    return fail_errno(error, what);
  }
  const auto id = identify(child);
  if (!id) return fail(Errc::io, "{}: it ended at once: see {}", what, log_path);
  return ProcessRecord{process.node, process.name, process.argv, log_path, *id};
}

Result<> await_end(const ProcessRecord& awaited, const std::vector<ProcessRecord>& others, Seconds limit) {
  const Nanos deadline = monotonic() + limit;
  while (!wait_gone({awaited.id}, std::min<Nanos>(deadline, monotonic() + kLookAtOthers)).empty()) {
    if (Interrupt::came()) return fail(Errc::cancelled, "interrupted");
    for (const auto& other : others) {
      if (is_alive(other.id)) continue;
      return fail(Errc::io, "{} has ended: {}", name_of(other), last_words(other.log_path));
    }
    if (monotonic() >= deadline) {
      return fail(Errc::timed_out, "{} is not done after {} s: {}", name_of(awaited), limit.count(),
                  last_words(awaited.log_path));
    }
  }
  int status = 0;
  const auto reaped = ::waitpid(awaited.id.pid, &status, 0);
  if (reaped == awaited.id.pid && WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(Errc::io, "{} failed: {}", name_of(awaited), last_words(awaited.log_path));
}

Result<> stop_processes(const std::function<std::vector<sys::ProcessId>()>& more) {
  auto left = more();
  for (const auto& id : left) send_signal(id, SIGTERM);
  (void)wait_gone(left, monotonic() + kTermination);
  // What still runs, or was started in the meantime, has had its chance.
  const Nanos deadline = monotonic() + kKilling;
  for (left = more(); !left.empty() && monotonic() < deadline; left = more()) {
    for (const auto& id : left) send_signal(id, SIGKILL);
    (void)wait_gone(left, deadline);
  }
  if (left.empty()) return {};
  return fail(Errc::timed_out, "stop process {}: it is there {} s after SIGKILL", left.front().pid, kKilling.count());
}

}  // namespace godwit::lab
