// Looks through the guests of this host, at a bounded rate and never while one of them migrates: migrate/inquiry.h
// tells what for.
#pragma once

#include "agent/guest_scan.h"
#include "agent/instances.h"
#include "sys/runtime.h"

#include <functional>
#include <map>
#include <string>

namespace godwit::agent {

class Scans final {
 public:
  // The references outlive it. `rate`: MiB a second over all guests; 0: nothing is looked at. `busy`, asked at
  // each step: not now.
  Scans(sys::Runtime& runtime, const Instances& instances, content::Store& store, content::Library& images,
        std::uint32_t rate_MiB_per_s, std::function<bool()> busy);

  [[nodiscard]] sys::Task<void> run();  // until it is cancelled

 private:
  struct Scanned {
    sys::ProcessId process;
    std::unique_ptr<GuestScan> scan;  // nullptr: its memory can't be read
  };
  void look();
  void choose();
  [[nodiscard]] std::unique_ptr<GuestScan> open(const Instance& instance);

  sys::Runtime& runtime_;
  const Instances& instances_;
  content::Store& store_;
  content::Library& images_;
  std::size_t pages_a_step_;
  std::function<bool()> busy_;
  std::map<std::string, Scanned> scanned_;  // by instance
  std::string next_;                        // whose turn it is, or that of the first behind it
};

}  // namespace godwit::agent
