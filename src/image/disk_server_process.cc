#include "image/disk_server_process.h"

#include <csignal>

namespace godwit::image {
namespace {

constexpr std::size_t kRecordLimit = 4096;
constexpr std::size_t kLogLimit = 256UL * 1024;
constexpr Seconds kStartLimit{10};
constexpr Millis kDialPause{10};

struct ServerRecord {
  std::int32_t pid{0};
  std::uint64_t start_ticks{0};
};
BOOST_DESCRIBE_STRUCT(ServerRecord, (), (pid, start_ticks))

std::string record_of(const std::string& directory) { return directory + ".disk-server.json"; }
std::string log_of(const std::string& directory) { return directory + ".disk-server.log"; }

// The one that is recorded, whether it lives or not.
Result<std::optional<sys::ProcessId>> recorded(sys::Files& files, const std::string& directory) {
  const auto path = record_of(directory);
  if (!files.exists(path)) return std::nullopt;
  const auto text = files.read(path, kRecordLimit);
  if (!text) return pass(text);
  const auto record = wire::decode<ServerRecord>(*text, kRecordLimit);
  if (!record) return fail(record, path);
  return sys::ProcessId{record->pid, record->start_ticks};
}

std::string last_words(sys::Files& files, const std::string& directory) {
  const auto log = files.read(log_of(directory), kLogLimit);
  const auto end = log ? log->find_last_not_of('\n') : std::string::npos;
  if (end == std::string::npos) return "it said nothing";
  const auto start = log->rfind('\n', end);
  return log->substr(start == std::string::npos ? 0 : start + 1,
                     end - (start == std::string::npos ? 0 : start + 1) + 1);
}

sys::Task<Result<>> wait_serving(sys::Runtime& runtime, std::string directory, sys::ProcessId process) {
  const auto deadline = runtime.clock.now() + kStartLimit;
  for (;;) {
    const auto client = co_await runtime.local.dial(base_socket_of(directory));
    if (client) co_return Result<>{};
    if (!runtime.processes.alive(process)) {
      co_return fail(Errc::io, "the disk server has ended: {}", last_words(runtime.files, directory));
    }
    if (runtime.clock.now() > deadline) {
      co_return fail(Errc::timed_out, "the disk server (pid {}) serves nobody: {}", process.pid,
                     client.error().message);
    }
    co_await runtime.clock.sleep_for(kDialPause);
  }
}

}  // namespace

std::string base_socket_of(const std::string& directory) { return directory + "/base.sock"; }
std::string desk_socket_of(const std::string& directory) { return directory + "/pieces.sock"; }

sys::Task<Result<sys::ProcessId>> ensure_disk_server(sys::Runtime& runtime, DiskServerProgram program,
                                                     std::string directory, std::string file, unsigned uid) {
  const auto before = recorded(runtime.files, directory);
  if (!before) co_return fail(before, "find the disk server");
  if (*before && runtime.processes.alive(**before)) {
    const auto serving = co_await wait_serving(runtime, directory, **before);
    if (!serving) co_return pass(serving);
    co_return **before;
  }
  sys::ProcessSpec spec;
  spec.argv = {program.path, "disk-server",
               "--file",     file,
               "--socket",   base_socket_of(directory),
               "--desk",     desk_socket_of(directory)};
  spec.uid = uid;
  spec.output_path = log_of(directory);
  const auto cleared = runtime.files.remove(spec.output_path);
  if (!cleared) co_return pass(cleared);
  const auto spawned = runtime.processes.spawn(spec);
  if (!spawned) co_return fail(spawned, "start the disk server");
  const ServerRecord record{spawned->pid, spawned->start_ticks};
  auto ready = runtime.files.write_atomic(record_of(directory), wire::encode(record), 0600);
  if (ready) ready = co_await wait_serving(runtime, directory, *spawned);
  if (!ready) {
    runtime.processes.signal(*spawned, SIGKILL);
    co_return fail(ready, "start the disk server");
  }
  co_return *spawned;
}

sys::Task<Result<>> end_disk_server(sys::Runtime& runtime, std::string directory) {
  const auto process = recorded(runtime.files, directory);
  if (!process) co_return fail(process, "end the disk server");
  if (*process) {
    runtime.processes.signal(**process, SIGKILL);
    co_await runtime.processes.wait_gone(**process);
  }
  const auto silenced = runtime.files.remove(log_of(directory));
  if (!silenced) co_return silenced;
  co_return runtime.files.remove(record_of(directory));
}

}  // namespace godwit::image
