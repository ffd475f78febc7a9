// What this host's switch saw goes to the cloud, each interval once. What can't be told is not told later: it is out of
// date then.
#pragma once

#include "agent/cloud_link.h"
#include "agent/switch_link.h"

namespace godwit::agent {

class Observations {
 public:
  // All are borrowed.
  Observations(sys::Runtime& runtime, SwitchLink& from, CloudLink& to) : runtime_(runtime), from_(from), to_(to) {}

  [[nodiscard]] sys::Task<void> run();

 private:
  sys::Runtime& runtime_;
  SwitchLink& from_;
  CloudLink& to_;
};

}  // namespace godwit::agent
