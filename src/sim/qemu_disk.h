// The disk of a simulated guest: numbered records behind whatever the file held before. One byte a record says whether
// it is there, so that a record that a copy has missed shows.
#pragma once

#include "sim/files.h"
#include "sim/guests.h"

#include <cstdint>
#include <string>

namespace godwit::sim {

class QemuDisk final {
 public:
  // Of a guest without a disk, `path` is empty: nothing is ever kept.
  QemuDisk(Files& files, Guests& guests, std::string host, std::string path);
  ~QemuDisk();
  QemuDisk(const QemuDisk&) = delete;
  QemuDisk& operator=(const QemuDisk&) = delete;

  // QEMU's "write" lock, held until unlock() or the end. False: another process has it.
  [[nodiscard]] bool lock();
  void unlock();

  void load();  // from the file, as an activation does
  void write(std::uint64_t record);
  [[nodiscard]] Result<> flush();
  // So many records are there without a gap.
  [[nodiscard]] std::uint64_t whole() const;
  [[nodiscard]] const std::string& records() const { return records_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Files& files_;
  Guests& guests_;
  std::string host_;
  std::string path_;
  std::string records_;  // record n is there: '1' at n - 1
  bool locked_{false};
};

// The records in a disk's file, without a gap from the first; for observers of files.
[[nodiscard]] std::uint64_t records_on_disk(Files& files, const std::string& path);

}  // namespace godwit::sim
