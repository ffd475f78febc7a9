// The child shares our memory until it execs (CLONE_VM | CLONE_VFORK, as posix_spawn does it): no page tables are
// copied, however large the agent is, and it reports its failure by writing into the plan. So it must not allocate, and
// calls the kernel directly where libc's wrapper would change this process too (the uid calls signal every thread).
#include "os/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>

// ThreadSanitizer's clone() is a fork(): it holds its locks for a child with memory of its own, which would give them
// back twice. It is passed by; while the child runs, the thread that it is a copy of stands still.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
extern "C" int __clone(int (*entry)(void*), void* stack, int flags, void* argument, ...);  // glibc's own name for it
#define GODWIT_CLONE ::__clone
#endif
#endif
#ifndef GODWIT_CLONE
#define GODWIT_CLONE ::clone
#endif

namespace godwit::os {
namespace {

constexpr std::size_t kChildStackBytes = 64UL * 1024;
constexpr int kLastSignal = 64;

struct Plan {
  std::vector<char*> argv;
  std::vector<char*> environment;
  const char* working_directory{nullptr};
  int network_namespace{-1};
  std::vector<std::pair<int, int>> descriptors;  // (ours, theirs), sorted by theirs; 0, 1 and 2 always among them
  unsigned uid{0};
  bool change_uid{false};

  const char* failed{nullptr};  // written by the child: the step, and its errno
  int error{0};
};

#define GODWIT_CHILD __attribute__((no_sanitize("address", "undefined", "thread")))

GODWIT_CHILD bool failed(Plan& plan, const char* step) {
  plan.error = errno;
  plan.failed = step;
  return false;
}

GODWIT_CHILD bool place_descriptors(Plan& plan) {
  const int above = plan.descriptors.back().second + 1;
  for (auto& each : plan.descriptors) {  // out of the way of the places that are to be filled
    each.first = ::fcntl(each.first, F_DUPFD, above);
    if (each.first < 0) return failed(plan, "pass a descriptor to");
  }
  int next = 0;
  for (const auto& each : plan.descriptors) {
    if (::dup2(each.first, each.second) < 0) return failed(plan, "pass a descriptor to");
    if (each.second > next) ::syscall(SYS_close_range, next, each.second - 1, 0);
    next = each.second + 1;
  }
  if (::syscall(SYS_close_range, next, ~0U, 0) != 0) return failed(plan, "close descriptors before");
  return true;
}

GODWIT_CHILD bool drop_privileges(Plan& plan) {
  if (plan.change_uid) {
    if (::syscall(SYS_setgroups, 0, nullptr) != 0) return failed(plan, "drop groups for");
    if (::syscall(SYS_setresgid, plan.uid, plan.uid, plan.uid) != 0) return failed(plan, "set the group of");
    if (::syscall(SYS_setresuid, plan.uid, plan.uid, plan.uid) != 0) return failed(plan, "set the user of");
  }
  if (plan.uid != 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed(plan, "forbid new privileges of");
  return true;
}

GODWIT_CHILD void reset_signals() {
  const std::array<unsigned long, 4> by_default{};  // the kernel's struct sigaction: SIG_DFL, no flags
  for (int number = 1; number <= kLastSignal; ++number) {
    ::syscall(SYS_rt_sigaction, number, by_default.data(), nullptr, sizeof(unsigned long));
  }
}

GODWIT_CHILD bool prepare_child(Plan& plan) {
  reset_signals();
  if (::setsid() < 0) return failed(plan, "make a session for");
  if (plan.network_namespace >= 0 && ::setns(plan.network_namespace, CLONE_NEWNET) != 0) {
    return failed(plan, "enter the network namespace of");
  }
  if (::chdir(plan.working_directory) != 0) return failed(plan, "enter the working directory of");
  if (!place_descriptors(plan) || !drop_privileges(plan)) return false;
  const unsigned long none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
  return true;
}

GODWIT_CHILD int child_main(void* argument) {
  auto& plan = *static_cast<Plan*>(argument);
  if (prepare_child(plan)) {
    ::execve(plan.argv[0], plan.argv.data(), plan.environment.data());
    failed(plan, "run");
  }
  ::_exit(127);
}

class ChildStack {
 public:
  ChildStack()
      : bottom_(::mmap(nullptr, kChildStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1,
                       0)) {}
  ~ChildStack() {
    if (usable()) ::munmap(bottom_, kChildStackBytes);
  }
  ChildStack(const ChildStack&) = delete;
  ChildStack& operator=(const ChildStack&) = delete;
  [[nodiscard]] bool usable() const { return bottom_ != MAP_FAILED; }
  [[nodiscard]] void* top() const { return static_cast<char*>(bottom_) + kChildStackBytes; }

 private:
  void* bottom_;
};

// Runs the plan with every signal blocked, so that no handler of ours runs in the child. Returns the pid, or -errno.
int clone_child(Plan& plan, Descriptor& pidfd) {
  const ChildStack stack;
  if (!stack.usable()) return -ENOMEM;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int descriptor = -1;
  const int pid =
      GODWIT_CLONE(child_main, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &descriptor);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return -error;
  pidfd = Descriptor(descriptor);
  return pid;
}

// What the plan points to while the child starts.
struct Materials {
  std::vector<std::string> environment;
  Descriptor null;
  Descriptor output;
  Descriptor network_namespace;
};

Result<> open_materials(const sys::ProcessSpec& spec, int output, Materials& out) {
  for (const auto& [name, value] : spec.environment) out.environment.push_back(name + "=" + value);
  out.null = Descriptor(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!out.null) return fail_errno(errno, "open /dev/null");
  if (output < 0 && !spec.output_path.empty()) {
    out.output =
        Descriptor(::open(spec.output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!out.output) return fail_errno(errno, "open output file " + spec.output_path);
  }
  if (!spec.network_namespace.empty()) {
    const auto path = "/run/netns/" + spec.network_namespace;
    out.network_namespace = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!out.network_namespace) return fail_errno(errno, "open network namespace " + path);
  }
  return {};
}

void place(std::vector<std::pair<int, int>>& descriptors, int ours, int theirs) {
  const auto taken = [theirs](const auto& each) { return each.second == theirs; };
  if (std::none_of(descriptors.begin(), descriptors.end(), taken)) descriptors.emplace_back(ours, theirs);
}

Plan plan_for(const sys::ProcessSpec& spec, int output, const Materials& materials) {
  Plan plan;
  // execve() takes char* for C's sake and writes nothing.
  for (const auto& each : spec.argv) plan.argv.push_back(const_cast<char*>(each.c_str()));
  plan.argv.push_back(nullptr);
  for (const auto& each : materials.environment) plan.environment.push_back(const_cast<char*>(each.c_str()));
  plan.environment.push_back(nullptr);
  plan.working_directory = spec.working_directory.c_str();
  plan.network_namespace = materials.network_namespace.get();
  plan.uid = spec.uid;
  plan.change_uid = spec.uid != 0 && spec.uid != ::geteuid();
  plan.descriptors = spec.descriptors;
  const int written = output >= 0 ? output : (materials.output ? materials.output.get() : materials.null.get());
  place(plan.descriptors, materials.null.get(), 0);
  place(plan.descriptors, written, 1);
  place(plan.descriptors, written, 2);
  std::sort(plan.descriptors.begin(), plan.descriptors.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  return plan;
}

}  // namespace

Result<Spawned> spawn_process(const sys::ProcessSpec& spec, int output) {
  if (spec.argv.empty() || !spec.argv[0].starts_with('/')) {
    return fail(Errc::invalid_argument, "run \"{}\": the program must be an absolute path",
                spec.argv.empty() ? "" : spec.argv[0]);
  }
  if (spec.network_namespace.find('/') != std::string::npos) {
    return fail(Errc::invalid_argument, "run {}: \"{}\" is no name of a network namespace", spec.argv[0],
                spec.network_namespace);
  }
  Materials materials;
  const auto opened = open_materials(spec, output, materials);
  if (!opened) return fail(opened, "run " + spec.argv[0]);
  auto plan = plan_for(spec, output, materials);
  Descriptor pidfd;
  const int pid = clone_child(plan, pidfd);
  if (pid < 0) return fail_errno(-pid, "start a process for " + spec.argv[0]);
  if (plan.failed) {
    ::waitpid(pid, nullptr, 0);
    return fail_errno(plan.error, fmt::format("{} {}", plan.failed, spec.argv[0]));
  }
  // Not yet reaped, so its entry in /proc is there, and its.
  const auto stat = stat_process(pid);
  if (!stat) return pass(stat);
  return Spawned{sys::ProcessId{pid, stat->start_ticks}, std::move(pidfd)};
}

Result<ProcessStat> stat_process(int pid) {
  const auto path = fmt::format("/proc/{}/stat", pid);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> buffer{};
  const auto count = file ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
  if (count <= 0) return fail(Errc::not_found, "process {}: is gone", pid);
  std::string_view text(buffer.data(), static_cast<std::size_t>(count));
  const auto name_end = text.rfind(')');  // the name, field 2, may contain anything
  if (name_end == std::string_view::npos || name_end + 2 >= text.size()) {
    return fail(Errc::internal, "{}: not as proc(5) says", path);
  }
  text.remove_prefix(name_end + 2);
  ProcessStat stat{.state = text[0]};
  for (int field = 3; field < 22; ++field) {
    const auto space = text.find(' ');
    if (space == std::string_view::npos) return fail(Errc::internal, "{}: not as proc(5) says", path);
    text.remove_prefix(space + 1);
  }
  std::from_chars(text.data(), text.data() + text.size(), stat.start_ticks);
  return stat;
}

}  // namespace godwit::os
