// Processes and TAP devices of one simulated host, as one process sees them.
#pragma once

#include "sim/host.h"

namespace godwit::sim {

class SimProcesses final : public sys::Processes {
 public:
  explicit SimProcesses(Process& self) : self_(self) {}
  [[nodiscard]] Result<sys::ProcessId> spawn(const sys::ProcessSpec& spec) override;
  [[nodiscard]] sys::Task<Result<std::string>> run(sys::ProcessSpec spec, Nanos limit) override;
  [[nodiscard]] bool alive(sys::ProcessId id) const override;
  void signal(sys::ProcessId id, int number) override;
  [[nodiscard]] sys::Task<void> wait_gone(sys::ProcessId id) override;

 private:
  Process& self_;
};

// A device is there while a process holds it: the one that opened it, until it closes the descriptor or ends, or a
// child that has inherited that.
class SimTaps final : public sys::Taps {
 public:
  explicit SimTaps(Process& self) : self_(self) {}
  [[nodiscard]] Result<std::vector<int>> open_for_guest(const std::string& name, unsigned mtu,
                                                        unsigned queues) override;
  void close_descriptor(int descriptor) override;

 private:
  Process& self_;
  int next_{3};
};

}  // namespace godwit::sim
