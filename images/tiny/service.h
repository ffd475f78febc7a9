// images/tiny/service.h: the commands that tests drive the guest with. Format: images/README.md.
#pragma once

#include "disk.h"
#include "memory.h"
#include "stream.h"
#include "text.h"
#include <string>
#include <vector>

namespace godwit::tiny {

class Service {
 public:
  // Answers one peer's commands until it leaves. Any number of threads.
  void serve(Line peer);

 private:
  using Words = std::vector<std::string>;
  bool answer(Line& peer, const std::string& line);  // false: the peer is gone
  std::string status();
  bool shell(Line& peer, const std::string& command);
  bool write_records(Line& peer, const Words& words);

  Disk disk_;
  DirtyMemory memory_;
  Follower follower_;
};

}  // namespace godwit::tiny
