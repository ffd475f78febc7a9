// The job that mirrors a simulated guest's disk: first what is there, then what the guest writes, until it is ended.
#pragma once

#include "sim/qemu_core.h"
#include "sim/qemu_nbd.h"

#include <deque>
#include <string>

namespace godwit::sim {

struct MirrorOptions {
  std::string id;
  std::uint64_t bytes_per_s{0};  // 0: no limit
  bool auto_dismiss{true};
};

class QemuMirror final {
 public:
  QemuMirror(QemuCore& core, MirrorOptions options);

  [[nodiscard]] sys::Task<void> run();
  void on_write(std::uint64_t record);
  // A drain of the disk: the job says so.
  void on_drain();
  void cancel(bool force);
  void dismiss();

  [[nodiscard]] const std::string& id() const { return options_.id; }
  [[nodiscard]] bool concluded() const { return status_ == "concluded"; }
  [[nodiscard]] bool over() const { return status_ == "null"; }
  [[nodiscard]] json::object job() const;        // of query-jobs
  [[nodiscard]] json::object block_job() const;  // of query-block-jobs

 private:
  void become(const std::string& status);
  [[nodiscard]] json::object progress() const;
  [[nodiscard]] sys::Task<Result<>> copy();
  [[nodiscard]] sys::Task<Result<>> copy_overlay();
  [[nodiscard]] sys::Task<void> wait_for(Nanos span);
  [[nodiscard]] bool cut_off() const { return cancelled_ && (!ready_ || forced_); }
  void conclude(const Result<>& copied);

  QemuCore& core_;
  MirrorOptions options_;
  std::string status_;
  std::deque<std::uint64_t> dirty_;
  std::uint64_t total_bytes_;
  std::uint64_t done_bytes_{0};
  bool ready_{false};
  bool cancelled_{false};
  bool forced_{false};
  std::string error_;
  sys::Signal news_;
};

}  // namespace godwit::sim
