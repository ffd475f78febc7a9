#include "sim/qemu_mirror.h"

namespace godwit::sim {
namespace {

constexpr std::size_t kRecordBytes = 4096;
constexpr std::uint64_t kPartBytes = 64UL * 1024;

}  // namespace

QemuMirror::QemuMirror(QemuCore& core, MirrorOptions options)
    : core_(core),
      options_(std::move(options)),
      total_bytes_(core.settings.overlay_bytes),
      news_(core.runtime().executor) {
  const auto& records = core_.disk.records();
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i] == '1') on_write(i + 1);
  }
  become("created");
  become("running");
}

void QemuMirror::become(const std::string& status) {
  status_ = status;
  json::object data{{"status", status}, {"id", options_.id}};
  core_.event("JOB_STATUS_CHANGE", std::move(data));
}

void QemuMirror::on_write(std::uint64_t record) {
  if (concluded() || over()) return;
  dirty_.push_back(record);
  total_bytes_ += kRecordBytes;
  news_.notify();
}

void QemuMirror::on_drain() {
  if (status_ != "ready") return;
  become("standby");
  become("ready");
}

void QemuMirror::cancel(bool force) {
  cancelled_ = true;
  forced_ = forced_ || force;
  news_.notify();
}

void QemuMirror::dismiss() { become("null"); }

sys::Task<void> QemuMirror::run() {
  const auto copied = co_await copy();
  conclude(copied);
}

// Errors: QEMU's word for a target that does not answer. Without one: it was ended, in order or not.
sys::Task<Result<>> QemuMirror::copy() {
  const auto copied = co_await copy_overlay();
  if (!copied) co_return copied;
  while (!cut_off()) {
    if (!dirty_.empty()) {
      const auto written = co_await core_.target->write(dirty_.front(), kRecordBytes);
      if (!written) co_return written;
      dirty_.pop_front();
      done_bytes_ += kRecordBytes;
      continue;
    }
    if (!std::exchange(ready_, true)) {
      become("ready");
      core_.event("BLOCK_JOB_READY", progress());
    }
    if (cancelled_) co_return co_await core_.target->flush();
    co_await news_.wait();
  }
  co_return Result<>{};
}

sys::Task<Result<>> QemuMirror::copy_overlay() {
  auto rate = core_.settings.copy_bytes_per_s;
  if (options_.bytes_per_s > 0) rate = std::min(rate, options_.bytes_per_s);
  for (std::uint64_t left = core_.settings.overlay_bytes; left > 0 && !cut_off();) {
    const auto part = std::min(left, kPartBytes);
    const auto written = co_await core_.target->write(0, part);
    if (!written) co_return written;
    left -= part;
    done_bytes_ += part;
    co_await wait_for(Nanos{static_cast<std::int64_t>(part * 1'000'000'000 / rate)});
  }
  co_return Result<>{};
}

sys::Task<void> QemuMirror::wait_for(Nanos span) {
  const auto deadline = core_.clock().now() + span;
  while (!cut_off() && core_.clock().now() < deadline) co_await news_.wait_until(core_.clock(), deadline);
}

void QemuMirror::conclude(const Result<>& copied) {
  auto last = progress();
  if (copied && !cut_off()) {
    become("waiting");
    become("pending");
    core_.event("BLOCK_JOB_COMPLETED", std::move(last));
  } else if (copied) {
    error_ = "Operation canceled";  // told when asked, not by the event
    become("aborting");
    core_.event("BLOCK_JOB_CANCELLED", std::move(last));
  } else {
    error_ = copied.error().message;
    json::object failed{{"device", options_.id}, {"operation", "write"}, {"action", "report"}};
    core_.event("BLOCK_JOB_ERROR", std::move(failed));
    become("aborting");
    last["error"] = error_;
    core_.event("BLOCK_JOB_COMPLETED", std::move(last));
  }
  become("concluded");
  if (options_.auto_dismiss) become("null");
}

json::object QemuMirror::progress() const {
  return {{"device", options_.id},
          {"len", total_bytes_},
          {"offset", done_bytes_},
          {"speed", options_.bytes_per_s},
          {"type", "mirror"}};
}

json::object QemuMirror::job() const {
  json::object told{{"current-progress", done_bytes_},
                    {"status", status_},
                    {"total-progress", total_bytes_},
                    {"type", "mirror"},
                    {"id", options_.id}};
  if (!error_.empty()) told["error"] = error_;
  return told;
}

json::object QemuMirror::block_job() const {
  auto told = progress();
  told["auto-finalize"] = true;
  told["auto-dismiss"] = options_.auto_dismiss;
  told["io-status"] = "ok";
  told["busy"] = !dirty_.empty();
  told["status"] = status_;
  told["paused"] = false;
  told["ready"] = ready_;
  if (!error_.empty()) told["error"] = error_;
  return told;
}

}  // namespace godwit::sim
