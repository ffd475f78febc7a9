// images/tiny/disk.h: numbered 4 KiB records on /dev/vda. A write that returned is on the disk.
#pragma once

#include "pattern.h"
#include <cstdint>
#include <optional>
#include <string>

namespace godwit::tiny {

// Any thread. Opened at first use: an instance without a disk just answers with an error.
class Disk {
 public:
  ~Disk();

  // Each answers with the line to send: "OK …" or "ERR …".
  std::string write(std::uint64_t record, std::uint64_t version);
  std::string read(std::uint64_t record);
  std::string sum(std::uint64_t first, std::optional<std::uint64_t> count);  // all that are there, if no count

  std::uint64_t records();  // how many fit

 private:
  std::optional<std::string> open_once();  // the error, if any

  int file_ = -1;
  std::uint64_t records_ = 0;
};

}  // namespace godwit::tiny
