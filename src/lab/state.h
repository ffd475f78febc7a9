// lab/state.h: what is known about a lab that is up, in its directory /var/lib/godwit/lab/NAME:
//   journal   what `up` is about to make, written and synced before it makes anything: all that `down` needs
//   lab.json  the configuration, the faults and the processes; "complete" when `up` has ended well
//   wan.json, wan.sock   of the delay line;   log/   of the processes
#pragma once

#include "lab/descriptor.h"
#include "lab/faults.h"
#include "lab/processes.h"

#include <string>
#include <string_view>
#include <vector>

namespace godwit::lab {

constexpr std::string_view kStateRoot = "/var/lib/godwit/lab";

struct State {
  std::string config;         // the text of lab.toml
  std::string config_source;  // its path, or "(default)"
  bool complete{false};
  std::vector<Fault> faults;
  std::vector<ProcessRecord> processes;

  bool operator==(const State&) const = default;
};

struct Journal {
  std::string boot_id;  // processes of another boot are none of ours
  std::vector<std::string> netns;

  bool operator==(const Journal&) const = default;
};

[[nodiscard]] std::string to_text(const Journal& journal);
[[nodiscard]] Journal parse_journal(std::string_view text);  // of a torn journal, the whole lines
[[nodiscard]] std::string to_json(const State& state);
[[nodiscard]] Result<State> parse_state(std::string_view json);  // Errors: protocol

[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit_bytes);
// The whole new content is on disk when it returns, or the old one still is.
[[nodiscard]] Result<> write_file(const std::string& path, std::string_view content);
[[nodiscard]] std::string boot_id();

// The directory of one lab, locked: one command at a time changes a lab.
class StateDirectory {
 public:
  // Errors: conflict, when the lab exists (says whether it is up or was left half made).
  [[nodiscard]] static Result<StateDirectory> create(std::string root, const std::string& name);
  // Waits for another command for at most kLockLimit. Errors: not_found, conflict.
  [[nodiscard]] static Result<StateDirectory> open(std::string root, const std::string& name);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Result<> write_journal(const Journal& journal) const;
  [[nodiscard]] Journal read_journal() const;  // empty when there is none: then nothing was made
  [[nodiscard]] Result<> write_state(const State& state) const;
  [[nodiscard]] Result<State> read_state() const;
  [[nodiscard]] Result<> remove() const;

 private:
  StateDirectory(std::string path, Descriptor lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  [[nodiscard]] static Result<StateDirectory> lock(std::string path, const std::string& name);

  std::string path_;
  Descriptor lock_;
};

// Names of the labs that have a directory, sorted.
[[nodiscard]] std::vector<std::string> lab_names(const std::string& root);
// Without the lock, for those who only look.
[[nodiscard]] Result<State> look_at(const std::string& root, const std::string& name);

}  // namespace godwit::lab
