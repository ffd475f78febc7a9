// The job that copies a simulated guest's disk as it was when the job began: what the guest has written, to a qcow2.
#pragma once

#include "sim/qemu_core.h"

#include <string>

namespace godwit::sim {

// Clusters of the disk where the copy has the guest's records, one byte each, as far as they fit: the first within most
// images, the second behind them.
inline constexpr std::uint64_t kBackupClusters[] = {1, 256};

// The overlay at `path` among the host's files with these records, at the same path among its page files.
[[nodiscard]] Result<> write_pages(Host& host, const std::string& path, const std::string& records);

class QemuBackup final {
 public:
  // `path`: of an empty overlay, among the host's files; the copy is at the same path among its page files.
  QemuBackup(QemuCore& core, std::string id, std::string path);

  [[nodiscard]] sys::Task<void> run();
  void cancel();
  void dismiss() { become("null"); }

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] bool concluded() const { return status_ == "concluded"; }
  [[nodiscard]] bool over() const { return status_ == "null"; }
  [[nodiscard]] json::object job() const;  // of query-jobs

 private:
  void become(const std::string& status);

  QemuCore& core_;
  std::string id_;
  std::string path_;
  std::string records_;  // of the moment when it began
  std::string status_;
  std::string error_;
  bool cancelled_{false};
  sys::Signal news_;
};

}  // namespace godwit::sim
