// images/tiny/memory.h: memory that is written at a known rate, and can tell whether it is still what was written.
#pragma once

#include "pattern.h"
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace godwit::tiny {

// Any thread. Its writer rewrites the region from front to back, again and again, each time with new content.
class DirtyMemory {
 public:
  DirtyMemory();

  // Fills `mib` MiB once and then dirties them at `mib_per_s`; 0 and 0 stops and frees. Answers "OK …" or "ERR …".
  std::string set(std::uint64_t mib_per_s, std::uint64_t mib);
  // Checks each page against its own numbers: "OK pages=… dirtied=… corrupt=…".
  std::string check();

 private:
  void run();
  void dirty(std::uint64_t pages);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Page> region_;
  std::uint64_t pages_per_tick_ = 0;
  std::uint64_t next_ = 0;     // the page to write next
  std::uint64_t dirtied_ = 0;  // pages written since the start; also the version of the next
  std::thread writer_;         // never ends: the process is the whole guest
};

}  // namespace godwit::tiny
