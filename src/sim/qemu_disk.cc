#include "sim/qemu_disk.h"

namespace godwit::sim {
namespace {

constexpr std::uint64_t kRecordLimit = 4UL * 1024 * 1024;  // hours of writing

std::uint64_t without_gap(const std::string& records) {
  const auto gap = records.find('0');
  return gap == std::string::npos ? records.size() : gap;
}

}  // namespace

QemuDisk::QemuDisk(Files& files, Guests& guests, std::string host, std::string path)
    : files_(files), guests_(guests), host_(std::move(host)), path_(std::move(path)) {
  load();
}

QemuDisk::~QemuDisk() { unlock(); }

bool QemuDisk::lock() {
  if (!path_.empty() && !locked_) locked_ = guests_.lock(host_, path_);
  return path_.empty() || locked_;
}

void QemuDisk::unlock() {
  if (std::exchange(locked_, false)) guests_.unlock(host_, path_);
}

void QemuDisk::load() { records_ = path_.empty() ? std::string() : files_.read_tail(path_); }

void QemuDisk::write(std::uint64_t record) {
  if (record == 0 || record > kRecordLimit || path_.empty()) return;
  if (records_.size() < record) records_.resize(record, '0');
  records_[record - 1] = '1';
  files_.write_cached_tail(path_, records_);
}

Result<> QemuDisk::flush() {
  if (path_.empty()) return {};
  return files_.sync_file(path_);
}

std::uint64_t QemuDisk::whole() const { return without_gap(records_); }

std::uint64_t records_on_disk(Files& files, const std::string& path) { return without_gap(files.read_tail(path)); }

}  // namespace godwit::sim
