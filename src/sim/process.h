// One simulated process: an executor, and everything that its program may touch.
#pragma once

#include "sim/world.h"
#include "sys/runtime.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace godwit::sim {

// Who the process is to its peers: a certificate of `name` that the CA `signer` signed. A CA is its PEM, or any word
// that stands for one: it is compared, never read. Without a signer nothing is shown.
struct Identity {
  std::string name;
  std::string signer;
  bool expired{false};

  [[nodiscard]] std::string key_sha256() const;
};

// The CA `signer`, trusted as the one of `cloud`.
[[nodiscard]] sys::TrustedCa authority(const std::string& signer, const std::string& cloud);

// What a process runs. When the process ends, in whatever way, its coroutines are unwound where they stand and then the
// program is destroyed: nothing of it goes on, nothing is flushed.
class Program {
 public:
  virtual ~Program() = default;
};

class Process final {
 public:
  [[nodiscard]] sys::Runtime& runtime();
  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] Host& host() { return host_; }
  [[nodiscard]] const Identity& identity() const { return identity_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] sys::ProcessId id() const { return id_; }
  [[nodiscard]] Program& program() { return *program_; }

  // Ends the process as soon as nothing runs; from inside or from outside.
  void kill();
  // SIGSTOP and SIGCONT: between them nothing of it runs, while its connections stay.
  void freeze() { frozen_ = true; }
  void thaw() { frozen_ = false; }
  // Something outside of it has something for it: see World::poll_only_woken().
  void touch();
  // Called for each signal but SIGKILL; without it, every signal kills.
  void on_signal(std::function<void(int)> handler) { on_signal_ = std::move(handler); }
  // Runs `task` in the process, as main() would.
  void spawn(sys::Task<void> task);

  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

 private:
  friend class World;
  friend class Host;
  friend class SimProcesses;
  friend class SimTaps;
  struct Parts;
  Process(Host& host, std::string name, Identity identity, sys::ProcessId id);
  [[nodiscard]] bool poll();
  [[nodiscard]] TimePoint next_deadline() const;
  void wake(TimePoint now);
  void list_deadline();  // among the world's

  World& world_;
  Host& host_;
  std::string name_;
  Identity identity_;
  sys::ProcessId id_;
  bool doomed_{false};
  bool frozen_{false};
  bool woken_{false};
  std::uint64_t birth_{0};
  TimePoint listed_at_{TimePoint::max()};  // max: its deadline is not among the world's
  std::function<void(int)> on_signal_;
  std::map<int, std::string> open_taps_;  // descriptors to devices
  std::unique_ptr<Parts> parts_;
  std::unique_ptr<Program> program_;
};

}  // namespace godwit::sim
