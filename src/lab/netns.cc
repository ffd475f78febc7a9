#include "lab/netns.h"

#include "lab/descriptor.h"
#include "lab/processes.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>
#include <sstream>

namespace godwit::lab {
namespace {

constexpr std::size_t kMostMessageBytes = 4096;
constexpr int kExecFailed = 127;  // as shells have it

// A namespace's identity: the device and inode of its file.
using NetnsId = std::pair<dev_t, ino_t>;

std::optional<NetnsId> netns_id(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return NetnsId{status.st_dev, status.st_ino};
}

std::set<NetnsId> ids_of(const std::vector<std::string>& netns) {
  std::set<NetnsId> ids;
  for (const std::string& name : netns) {
    if (const auto id = netns_id(std::string(kNetnsDirectory) + name)) ids.insert(*id);
  }
  return ids;
}

Result<Descriptor> file_in_memory(const char* name, std::string_view content) {
  Descriptor file(::memfd_create(name, MFD_CLOEXEC));
  if (!file) return fail_errno(errno, "memfd_create");
  if (::write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return fail_errno(errno, "write to memory");
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

std::string content_of(const Descriptor& file) {
  std::array<char, kMostMessageBytes> buffer{};
  const ssize_t size = ::pread(file.get(), buffer.data(), buffer.size(), 0);
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

// In the child of a fork: only what POSIX allows there, and never back.
[[noreturn]] void become(const Command& command, int input, int errors) {
  ::setpgid(0, 0);  // Ctrl-C is for the caller, who stops between two commands
  const std::string_view prefix = kNetnsDirectory;
  if (!command.netns.empty()) {
    const int file = ::open((std::string(prefix) + command.netns).c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0 || ::setns(file, CLONE_NEWNET) != 0) ::_exit(kExecFailed - 1);
  }
  ::dup2(input, STDIN_FILENO);
  ::dup2(errors, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  std::vector<char*> argv;
  for (const std::string& word : command.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(kExecFailed);
}

// iproute2 ends with "Command failed -:3": that line of the input is what a person wants to see.
std::string batch_line(const Command& command, const std::string& message) {
  constexpr std::string_view kMark = "Command failed -:";
  const auto mark = message.find(kMark);
  if (mark == std::string::npos) return {};
  int wanted = std::atoi(message.c_str() + mark + kMark.size());
  std::istringstream input(command.input);
  std::string line;
  while (wanted-- > 0 && std::getline(input, line)) continue;
  return line;
}

Error failure(const Command& command, const std::string& message) {
  const std::string where = command.netns.empty() ? "" : " in " + command.netns;
  std::string line = batch_line(command, message);
  if (line.empty()) line = fmt::format("{}", fmt::join(command.argv, " "));
  auto cause = message.substr(0, message.find('\n'));
  if (cause.empty()) cause = "it failed without a message";
  return {Errc::io, fmt::format("{} \"{}\"{}: {}", command.argv[0], line, where, cause)};
}

}  // namespace

Result<> enter_netns(const std::string& name) {
  const std::string path = std::string(kNetnsDirectory) + name;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, "open namespace " + path);
  if (::setns(file.get(), CLONE_NEWNET) != 0) return fail_errno(errno, "enter namespace " + path);
  return {};
}

std::vector<std::string> netns_with_prefix(const std::string& prefix) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(kNetnsDirectory, none)) {
    if (auto name = entry.path().filename().string(); name.starts_with(prefix)) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

std::vector<sys::ProcessId> processes_in(const std::vector<std::string>& netns) {
  const auto wanted = ids_of(netns);
  std::vector<sys::ProcessId> found;
  if (wanted.empty()) return found;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
    const std::string name = entry.path().filename().string();
    std::int32_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc{} || parsed.ptr != name.data() + name.size()) continue;
    // The start time first: if the pid is reused after that, the two don't match, and nobody is signalled.
    const auto process = identify(pid);
    const auto id = netns_id("/proc/" + name + "/ns/net");
    if (process && id && wanted.contains(*id)) found.push_back(*process);
  }
  return found;
}

bool inside_of(const std::vector<std::string>& netns) {
  const auto own = netns_id("/proc/self/ns/net");
  return own && ids_of(netns).contains(*own);
}

Result<> run_command(const Command& command) {
  const auto input = file_in_memory("input", command.input);
  if (!input) return pass(input);
  const auto errors = file_in_memory("errors", "");
  if (!errors) return pass(errors);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork for " + command.argv[0]);
  if (child == 0) become(command, input->get(), errors->get());

  const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
  const int limit_ms = static_cast<int>(Millis(kCommandLimit).count());
  int ready = ::poll(&ended, 1, limit_ms);
  while (ready < 0 && errno == EINTR) ready = ::poll(&ended, 1, limit_ms);
  if (ready == 0) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (ready == 0) return fail(Errc::timed_out, "{}: not done within {} s", command.argv[0], kCommandLimit.count());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExecFailed) {
    return fail(Errc::not_found, "{}: no such program (is its package installed?)", command.argv[0]);
  }
  return std::unexpected(failure(command, content_of(*errors)));
}

}  // namespace godwit::lab
