// Files and processes of this host as seams.
#pragma once

#include "base/result.h"
#include "sys/clock.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace godwit::sys {

// Blocking and small: records, configuration, keys. Paths are absolute.
class Files {
 public:
  virtual ~Files() = default;
  // Errors: not_found, exhausted (larger than `limit_bytes`), io.
  [[nodiscard]] virtual Result<std::string> read(const std::string& path, std::size_t limit_bytes) = 0;
  // After it returns the whole new content is on disk, or after an error the whole old content (write, fsync, rename,
  // fsync of the directory).
  [[nodiscard]] virtual Result<> write_atomic(const std::string& path, std::string_view content, unsigned mode) = 0;
  [[nodiscard]] virtual Result<> make_directories(const std::string& path, unsigned mode, unsigned owner_uid) = 0;
  // Names, sorted; empty when there is no such directory.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) = 0;
  [[nodiscard]] virtual Result<> change_owner(const std::string& path, unsigned uid) = 0;
  // Not an error when it is not there.
  [[nodiscard]] virtual Result<> remove(const std::string& path) = 0;
  [[nodiscard]] virtual Result<> remove_tree(const std::string& path) = 0;
  [[nodiscard]] virtual Result<> sync_file(const std::string& path) = 0;  // fsync of what other processes wrote
};

// A pid alone may be somebody else's by now; with the start time (clock ticks since boot, /proc/PID/stat field 22) it
// is not.
struct ProcessId {
  std::int32_t pid{0};
  std::uint64_t start_ticks{0};

  bool operator==(const ProcessId&) const = default;
};

struct ProcessSpec {
  std::vector<std::string> argv;                   // argv[0] is an absolute path; never a secret
  std::map<std::string, std::string> environment;  // the whole of it
  unsigned uid{0};                                 // 0: the caller's own; else also its gid, without other groups
  std::string working_directory{"/"};
  std::string output_path;                       // stdout and stderr are appended here; empty: /dev/null
  std::vector<std::pair<int, int>> descriptors;  // (ours, theirs): inherited, all others are closed
  std::string network_namespace;                 // a name under /run/netns, empty for ours
};

class Processes {
 public:
  virtual ~Processes() = default;
  // A process of its own session, which outlives us. Errors: not_found (the program), io.
  [[nodiscard]] virtual Result<ProcessId> spawn(const ProcessSpec& spec) = 0;
  // Runs a short program to its end; its output, at most 1 MiB. Errors: io when the exit code is not 0 (message has its
  // last line), timed_out.
  [[nodiscard]] virtual Task<Result<std::string>> run(ProcessSpec spec, Nanos limit) = 0;
  [[nodiscard]] virtual bool alive(ProcessId id) const = 0;
  virtual void signal(ProcessId id, int number) = 0;  // nothing happens when it is gone
  // Returns when the process is gone; works for processes that an earlier agent started.
  [[nodiscard]] virtual Task<void> wait_gone(ProcessId id) = 0;
};

// TAP devices for guests. QEMU holds the only user end; the switch joins the device to its own by tc.
class Taps {
 public:
  virtual ~Taps() = default;
  // Creates and opens the device `name` (at most 15 characters): one descriptor a queue, in their order. The caller
  // owns them: it hands them to QEMU and closes them. Errors: conflict (somebody else holds it), io (with the remedy:
  // root or CAP_NET_ADMIN).
  [[nodiscard]] virtual Result<std::vector<int>> open_for_guest(const std::string& name, unsigned mtu,
                                                                unsigned queues) = 0;
  virtual void close_descriptor(int descriptor) = 0;
};

}  // namespace godwit::sys
