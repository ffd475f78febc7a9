// How a process is started: from clone to exec.
#pragma once

#include "os/descriptor.h"
#include "sys/files.h"

namespace godwit::os {

struct Spawned {
  sys::ProcessId id;
  Descriptor pidfd;  // becomes readable when the process has ended
};

// Starts spec.argv as a leader of its own session. `output` becomes its stdout and stderr; with -1, spec.output_path
// does. Returns once the program runs: errors of exec and of everything before it come back here.
[[nodiscard]] Result<Spawned> spawn_process(const sys::ProcessSpec& spec, int output);

// The state letter and start time of a process, from /proc/PID/stat. Errors: not_found.
struct ProcessStat {
  char state{0};
  std::uint64_t start_ticks{0};
};
[[nodiscard]] Result<ProcessStat> stat_process(int pid);

}  // namespace godwit::os
