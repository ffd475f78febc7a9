#include "disk.h"

#include <fcntl.h>
#include <unistd.h>

#include "text.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

namespace godwit::tiny {
namespace {

constexpr const char* kDevice = "/dev/vda";

std::string failed(const char* operation, std::uint64_t record) {
  return print("ERR %s record %lu: %s", operation, record, strerror(errno));
}

}  // namespace

Disk::~Disk() {
  if (file_ >= 0) close(file_);
}

std::optional<std::string> Disk::open_once() {
  static std::mutex opening;
  const std::lock_guard guard(opening);
  if (file_ >= 0) return std::nullopt;
  // Past the page cache, so that what is read is what the host's disk holds.
  const int file = open(kDevice, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
  if (file < 0) return print("ERR open %s: %s", kDevice, strerror(errno));
  const off_t bytes = lseek(file, 0, SEEK_END);
  records_ = bytes > 0 ? static_cast<std::uint64_t>(bytes) / kPageBytes : 0;
  file_ = file;
  return std::nullopt;
}

std::uint64_t Disk::records() { return open_once() ? 0 : records_; }

std::string Disk::write(std::uint64_t record, std::uint64_t version) {
  if (auto error = open_once()) return *error;
  if (record >= records_) return print("ERR write record %lu: the disk has %lu", record, records_);
  alignas(kPageBytes) Page page;
  fill(page, record, version);
  const ssize_t put = pwrite(file_, page.data(), kPageBytes, static_cast<off_t>(record * kPageBytes));
  if (put != static_cast<ssize_t>(kPageBytes)) return failed("write", record);
  return print("OK %lu", record);
}

std::string Disk::read(std::uint64_t record) {
  if (auto error = open_once()) return *error;
  alignas(kPageBytes) Page page;
  const ssize_t got = pread(file_, page.data(), kPageBytes, static_cast<off_t>(record * kPageBytes));
  if (got != static_cast<ssize_t>(kPageBytes)) return failed("read", record);
  switch (inspect(page, record)) {
    case Found::absent: return print("ERR record %lu is absent", record);
    case Found::corrupt: return print("ERR record %lu is corrupt", record);
    case Found::whole: break;
  }
  return print("OK %lu version=%lu", record, page[1]);
}

std::string Disk::sum(std::uint64_t first, std::optional<std::uint64_t> count) {
  if (auto error = open_once()) return *error;
  const std::uint64_t start = std::min(first, records_);
  const std::uint64_t end = start + std::min(count.value_or(records_), records_ - start);
  std::uint64_t whole = 0, absent = 0, corrupt = 0, total = 0xcbf29ce484222325u;
  alignas(kPageBytes) Page page;
  for (std::uint64_t record = start; record < end; ++record) {
    const ssize_t got = pread(file_, page.data(), kPageBytes, static_cast<off_t>(record * kPageBytes));
    if (got != static_cast<ssize_t>(kPageBytes)) return failed("read", record);
    total = tiny::sum(total, page);
    const Found found = inspect(page, record);
    whole += found == Found::whole;
    absent += found == Found::absent;
    corrupt += found == Found::corrupt;
  }
  return print("OK sum=%016lx whole=%lu absent=%lu corrupt=%lu", total, whole, absent, corrupt);
}

}  // namespace godwit::tiny
