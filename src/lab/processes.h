// lab/processes.h: long-lived processes in a lab's nodes. Each is of its own session and outlives the command that
// started it; it is known by pid and start time, so that nobody else's is ever signalled.
#pragma once

#include "lab/plan.h"
#include "sys/files.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace godwit::lab {

// What is to be started in a node.
struct ProcessPlan {
  std::string node;
  std::string name;  // a label; one process of a name a node
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;  // beside the caller's own, GODWIT_LAB and GODWIT_NETNS_PREFIX
  bool awaited{false};                             // the lab is up when it has ended well
};

// What was started.
struct ProcessRecord {
  std::string node;
  std::string name;
  std::vector<std::string> argv;
  std::string log_path;
  sys::ProcessId id;

  bool operator==(const ProcessRecord&) const = default;
};

// The seam by which `godwit lab up` learns which processes of Godwit a lab runs, in the order in which they start.
// `directory` is the lab's own, for their files: `down` removes it.
using ProcessPlanner = std::function<Result<std::vector<ProcessPlan>>(const Plan& plan, const std::string& directory)>;

// Null when there is no such process (a zombie is none).
[[nodiscard]] std::optional<sys::ProcessId> identify(std::int32_t pid);
[[nodiscard]] bool is_alive(sys::ProcessId id);

// Starts `argv` in the namespace, its output appended to `log_path`. When `inherited` is not -1 the child has it as
// descriptor 3. Returns when the program is running. Errors: not_found (no such program), io.
[[nodiscard]] Result<ProcessRecord> start_process(const ProcessPlan& process, const std::string& netns,
                                                  const std::string& log_path, int inherited);

// Waits until `awaited`, which start_process() has started in this process, has ended well. Errors: io (it has not, or
// one of `others` has ended), timed_out, cancelled; each says what the process wrote last.
[[nodiscard]] Result<> await_end(const ProcessRecord& awaited, const std::vector<ProcessRecord>& others, Seconds limit);

// SIGTERM, and SIGKILL to those that are there after kTermination. Returns when all are gone, or an error that names
// one that is not. `more` finds processes that were started meanwhile.
constexpr Seconds kTermination{5};
constexpr Seconds kKilling{5};
[[nodiscard]] Result<> stop_processes(const std::function<std::vector<sys::ProcessId>()>& more);

}  // namespace godwit::lab
