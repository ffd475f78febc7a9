// Processes of this host.
#pragma once

#include "sys/files.h"

#include <memory>

namespace godwit::os {

class SystemProcesses final : public sys::Processes {
 public:
  explicit SystemProcesses(sys::Executor executor) : executor_(std::move(executor)) {}

  [[nodiscard]] Result<sys::ProcessId> spawn(const sys::ProcessSpec& spec) override;
  // Cancelled or out of time, the program and its whole process group are killed. Errors also: exhausted (more than
  // 1 MiB of output).
  [[nodiscard]] sys::Task<Result<std::string>> run(sys::ProcessSpec spec, Nanos limit) override;
  [[nodiscard]] bool alive(sys::ProcessId id) const override;
  void signal(sys::ProcessId id, int number) override;
  [[nodiscard]] sys::Task<void> wait_gone(sys::ProcessId id) override;

 private:
  sys::Executor executor_;
};

}  // namespace godwit::os
