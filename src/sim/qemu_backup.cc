#include "sim/qemu_backup.h"

#include "base/bytes.h"

#include <algorithm>

namespace godwit::sim {
namespace {

constexpr std::size_t kCluster_bytes = 64UL * 1024;
constexpr std::size_t kL1At = 3 * kCluster_bytes;  // as image/qcow2.h makes an overlay
constexpr std::uint64_t kCopied = 1ULL << 63U;
constexpr std::size_t kOverlayLimit = 16UL << 20U;

}  // namespace

QemuBackup::QemuBackup(QemuCore& core, std::string id, std::string path)
    : core_(core),
      id_(std::move(id)),
      path_(std::move(path)),
      records_(core.disk.records()),
      news_(core.runtime().executor) {
  become("created");
  become("running");
}

void QemuBackup::become(const std::string& status) {
  status_ = status;
  json::object data{{"status", status}, {"id", id_}};
  core_.event("JOB_STATUS_CHANGE", std::move(data));
}

void QemuBackup::cancel() {
  cancelled_ = true;
  news_.notify();
}

sys::Task<void> QemuBackup::run() {
  const auto bytes = core_.settings.overlay_bytes + records_.size();
  const Nanos span{static_cast<std::int64_t>(bytes * 1'000'000'000 / core_.settings.copy_bytes_per_s)};
  const auto deadline = core_.clock().now() + span;
  while (!cancelled_ && core_.clock().now() < deadline) co_await news_.wait_until(core_.clock(), deadline);
  if (cancelled_) {
    error_ = "Operation canceled";
  } else if (const auto written = write_pages(core_.process().host(), path_, records_); !written) {
    error_ = written.error().message;
  }
  become(error_.empty() ? "pending" : "aborting");
  become("concluded");
}

// The overlay with an L2 table and its clusters behind it.
Result<> write_pages(Host& host, const std::string& path, const std::string& records) {
  const auto overlay = host.files().read(path, kOverlayLimit);
  if (!overlay) return pass(overlay);
  ByteVector out(as_bytes(*overlay).begin(), as_bytes(*overlay).end());
  out.resize(std::max(out.size(), kL1At + kCluster_bytes));
  const auto table = out.size();
  out.resize(table + kCluster_bytes);
  store_be64(ByteSpan(out).subspan(kL1At, 8), table | kCopied);
  for (const auto cluster : kBackupClusters) {
    store_be64(ByteSpan(out).subspan(table + cluster * 8, 8), out.size() | kCopied);
    const auto part = std::min(records.size(), kCluster_bytes);
    append(out, as_bytes(records).first(part));
    out.resize(out.size() + kCluster_bytes - part);
  }
  host.page_files().put(path, out);
  return {};
}

json::object QemuBackup::job() const {
  json::object told{
      {"current-progress", 0}, {"status", status_}, {"total-progress", 0}, {"type", "backup"}, {"id", id_}};
  if (!error_.empty()) told["error"] = error_;
  return told;
}

}  // namespace godwit::sim
