// The Machine that is a QEMU process: its life in qemu_machine.cc, what its disk is on in qemu_base.cc, copies of its
// disk in qemu_snapshot.cc, its part in migrations in qemu_migration.cc.
#pragma once

#include "hypervisor/machine.h"

#include <algorithm>
#include <set>

namespace godwit::hypervisor {

// DIRECTORY.json: what was started, and as which process.
struct MachineRecord {
  MachineSpec spec;
  std::int32_t pid{0};
  std::uint64_t start_ticks{0};
};
BOOST_DESCRIBE_STRUCT(MachineRecord, (), (spec, pid, start_ticks))

// Names of nodes.
inline constexpr const char* kLocalBase = "base";
inline constexpr const char* kServedBase = "base-nbd";

class QemuMachine final : public Machine {
 public:
  QemuMachine(sys::Runtime& runtime, MachineSpec spec, sys::ProcessId process, std::shared_ptr<Qmp> qmp);
  ~QemuMachine() override;

  // Reads the state once, then keeps it true until detach().
  [[nodiscard]] sys::Task<Result<>> begin();

  const MachineSpec& spec() const override { return spec_; }
  sys::ProcessId process() const override { return process_; }
  MachineState state() const override { return state_; }
  void on_changed(std::function<void()> changed) override { changed_ = std::move(changed); }
  std::string problem() const override { return problem_; }
  sys::Task<void> wait_dead() override;
  sys::Task<void> stop(Nanos grace) override;
  sys::Task<void> kill() override;
  sys::Task<void> detach() override;

  bool has_local_base() const override { return local_base_; }
  sys::Task<Result<>> use_local_base() override;

  sys::Task<Result<>> start_snapshot(std::string path) override;
  sys::Task<Result<>> wait_snapshot() override;
  sys::Task<Result<>> end_snapshot() override;

  sys::Task<Result<>> start_disk(std::string nbd_socket, std::uint64_t max_bytes_per_s) override;
  sys::Task<Result<>> wait_disk_ready() override;
  sys::Task<Result<>> start_memory(std::string socket, MemoryOptions options) override;
  sys::Task<Result<>> wait_paused() override;
  sys::Task<Result<>> end_disk() override;
  sys::Task<Result<>> continue_switchover() override;
  sys::Task<Result<>> allow_pause(std::uint32_t downtime_limit_ms) override;
  sys::Task<Result<>> allow_auto_converge() override;
  sys::Task<Result<>> start_post_copy() override;
  sys::Task<Result<MigrationStatus>> migration_status() override;
  sys::Task<Result<>> resume() override;

  // Opens the NBD export and the migration listener of a QEMU that was launched as incoming.
  [[nodiscard]] sys::Task<Result<>> open_incoming(bool post_copy);
  sys::Task<Result<>> wait_loaded() override;
  sys::Task<Result<>> wait_whole() override;
  sys::Task<Result<>> finish_disk() override;
  sys::Task<Result<>> start() override;
  sys::Task<Result<>> check_post_copy() override;
  std::string post_copy_problem() const override { return post_copy_problem_; }

 private:
  // Asks what the disk is on, and ends what an earlier agent has begun.
  [[nodiscard]] sys::Task<Result<>> look_at_base();
  [[nodiscard]] sys::Task<Result<>> may_change_base();
  [[nodiscard]] sys::Task<Result<std::set<std::string>>> nodes();
  [[nodiscard]] sys::Task<void> watch_process();
  [[nodiscard]] sys::Task<void> watch_monitor();
  [[nodiscard]] sys::Task<Result<>> refresh();
  [[nodiscard]] sys::Task<void> reconnect();
  [[nodiscard]] sys::Task<Result<wire::json::value>> execute(std::string command,
                                                             wire::json::object arguments = wire::json::object(),
                                                             Nanos limit = Seconds{10});
  // Until QEMU's migration has the wanted status. Errors: io with QEMU's reason where it failed or was cancelled.
  [[nodiscard]] sys::Task<Result<>> wait_migration(std::string wanted);
  // Until it has given so much away that it never resumes by itself. Errors: likewise.
  [[nodiscard]] sys::Task<Result<>> wait_handed_over();
  [[nodiscard]] sys::Task<Result<>> cancel_migration();
  [[nodiscard]] sys::Task<Result<>> end_post_copy();
  [[nodiscard]] sys::Task<Result<>> cancel_mirror();
  [[nodiscard]] sys::Task<Result<std::string>> migration_word();
  // QEMU's word for its state; keeps ours true.
  [[nodiscard]] sys::Task<Result<std::string>> query_runstate();
  // The mirror job; without one, all is empty.
  struct MirrorJob {
    std::string status;
    std::string error;
    std::uint64_t done_bytes{0};
    std::uint64_t total_bytes{0};  // grows with each write of the guest
    [[nodiscard]] bool ready() const { return status == "ready" || status == "standby"; }
    [[nodiscard]] std::uint64_t left_bytes() const { return total_bytes - std::min(done_bytes, total_bytes); }
    [[nodiscard]] bool ended() const { return status.empty() || status == "concluded" || status == "null"; }
    [[nodiscard]] std::string reason() const { return error.empty() ? "there is no mirror" : error; }
  };
  [[nodiscard]] sys::Task<Result<MirrorJob>> mirror_job();
  // The job that copies the disk; without one, all is empty.
  struct SnapshotJob {
    std::string status;
    std::string error;
  };
  [[nodiscard]] sys::Task<Result<SnapshotJob>> snapshot_job();
  // Returns when nothing is left to copy, which is only certain to come while the guest stands still.
  [[nodiscard]] sys::Task<Result<>> wait_mirror_level(TimePoint deadline);
  // The error that says why QEMU has ended, or is about to.
  [[nodiscard]] sys::Task<Result<>> tell_end();
  void listen();
  void set_state(MachineState state, std::string problem);

  sys::Runtime runtime_;  // its own, as that of Qmp
  MachineSpec spec_;
  sys::ProcessId process_;
  std::shared_ptr<Qmp> qmp_;  // replaced when the connection is lost; an operation keeps the one that it began with
  Log log_;
  MachineState state_{MachineState::starting};
  std::string problem_;
  std::string post_copy_problem_;
  bool local_base_{true};
  std::function<void()> changed_;
  std::uint64_t heard_{0};
  sys::Signal news_;   // an event that may mean another state
  sys::Signal ended_;  // the process is gone
  sys::Gate gate_;
};

}  // namespace godwit::hypervisor
