// lab/lab.h: a lab's life: up, changed, looked at, down. Each function is one command, and blocks until it is done.
#pragma once

#include "lab/faults.h"
#include "lab/processes.h"
#include "lab/state.h"
#include "lab/wan_table.h"

#include <optional>
#include <string>
#include <vector>

namespace godwit::lab {

struct UpRequest {
  std::string name;                   // empty: the one that the configuration says, else "lab"
  std::string config;                 // the text of a lab.toml
  std::string config_source;          // for messages
  ProcessPlanner processes;           // empty: bare
  std::vector<std::string> images;    // directories that each cloud offers
  std::uint32_t image_send_kib_s{0};  // at which sky, clouds and hosts each give of images; 0: as fast as can be
};

struct PathStatus {
  std::string from;
  std::string to;
  Ipv4Prefix source;
  Ipv4Prefix destination;
  LinkShape shape;
  LinkCounters counters;
};

struct ProcessStatus {
  ProcessRecord record;
  bool alive{false};
};

struct LabStatus {
  std::string name;
  bool complete{false};  // else: being made, or left half made
  bool line_alive{false};
  Plan plan;
  std::vector<PathStatus> paths;
  std::vector<Fault> faults;
  std::vector<ProcessStatus> processes;
};

class Labs {
 public:
  explicit Labs(std::string root = std::string(kStateRoot)) : root_(std::move(root)) {}

  // All of it, or an error and nothing. Returns the lab's name, when what is awaited of its processes has ended.
  // Errors: those of parse_config() and check_machine(); conflict (the name is in use); cancelled (SIGINT, SIGTERM);
  // timed_out; io.
  [[nodiscard]] Result<std::string> up(const UpRequest& request) const;
  // Everything that up() and its processes made, whatever became of them; nothing else.
  // Errors: not_found; timed_out (a process survives SIGKILL); conflict (the caller is inside the lab).
  [[nodiscard]] Result<> down(const std::string& name) const;

  [[nodiscard]] Result<LabStatus> status(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const { return lab_names(root_); }

  // Adds what `change` says to the fault between its two places. Errors: those of check_fault(), unavailable.
  [[nodiscard]] Result<> fault(const std::string& name, const Fault& change) const;
  // Everything between the two places is again as configured; without places, all of the lab.
  [[nodiscard]] Result<> heal(const std::string& name,
                              const std::optional<std::pair<std::string, std::string>>& between) const;

  // Starts a long-lived process. Errors: not_found (node, program), conflict (one of that name runs there).
  [[nodiscard]] Result<ProcessRecord> run(const std::string& name, const ProcessPlan& process) const;
  // The calling process becomes `argv` in the node: returns only with an error.
  [[nodiscard]] Result<> exec(const std::string& name, const std::string& node,
                              const std::vector<std::string>& argv) const;

 private:
  [[nodiscard]] Result<> make(const StateDirectory& directory, const Plan& plan, const UpRequest& request) const;
  [[nodiscard]] Result<> start(const StateDirectory& directory, const Plan& plan, State& state,
                               const ProcessPlan& process, int inherited) const;
  // It is none of the lab's processes any more when it has ended.
  [[nodiscard]] static Result<> await(State& state, const ProcessPlan& process);
  [[nodiscard]] Result<> unmake(const StateDirectory& directory, const std::string& name) const;
  // A lab that is up, locked, to be changed.
  struct Opened {
    StateDirectory directory;
    State state;
    Plan plan;
  };
  [[nodiscard]] Result<Opened> open(const std::string& name) const;
  [[nodiscard]] static Result<> set_faults(Opened& lab, std::vector<Fault> faults);

  std::string root_;
};

}  // namespace godwit::lab
