#include "sim/qemu_core.h"

#include "sim/qemu_backup.h"
#include "sim/qemu_nbd.h"

namespace godwit::sim {
namespace {

constexpr std::size_t kLogLimit = 1024UL * 1024;

}  // namespace

QemuCore::QemuCore(Process& process, Guests& guests, QemuSettings how, QemuLine given, std::string output_path,
                   QemuMonitor::Execute execute)
    : settings(how),
      line(std::move(given)),
      runstate(line.incoming ? "inmigrate" : "prelaunch"),
      autostart(!line.stopped),
      loop(process.runtime().executor),
      monitor(process.runtime(), loop, std::move(execute)),
      disk(process.host().files(), guests, process.host().name(), line.disk_path),
      process_(process),
      guests_(guests),
      output_path_(std::move(output_path)) {}

QemuCore::~QemuCore() {
  // For who reads the disk when no QEMU has it.
  if (!line.disk_path.empty()) (void)write_pages(process_.host(), line.disk_path, disk.records());
  if (running_) guests_.stands_still(line.instance, process_.host().name());
}

void QemuCore::migration_event(const std::string& status) {
  json::object data{{"status", status}};
  event("MIGRATION", std::move(data));
}

void QemuCore::die(const std::string& last) {
  auto& files = process_.host().files();
  const auto said = files.read(output_path_, kLogLimit);
  if (!output_path_.empty()) {
    files.write_cached(output_path_, said.value_or("") + "qemu-system-x86_64: " + last + "\n");
  }
  process_.world().trace(process_.host().name() + "/qemu ends: " + last);
  process_.kill();
}

void QemuCore::run() {
  if (running_) return;
  running_ = true;
  runstate = "running";
  const auto& host = process_.host().name();
  process_.world().trace(host + ": vCPUs of " + line.instance + " run");
  guests_.starts(line.instance, host, disk.whole());
  if (!line.disk_path.empty() && disk.whole() < remembered_) {
    guests_.blame(fmt::format("{} runs at {} on a disk with {} records, and remembers {}", line.instance, host,
                              disk.whole(), remembered_));
  }
  event("RESUME");
}

void QemuCore::halt(const std::string& state) {
  runstate = state;
  if (!running_) return;
  running_ = false;
  process_.world().trace(process_.host().name() + ": vCPUs of " + line.instance + " stand still");
  guests_.stands_still(line.instance, process_.host().name());
  event("STOP");
}

Result<> QemuCore::activate_disk() {
  if (disk.lock()) return {};
  return fail(Errc::conflict, "Failed to get \"write\" lock\nIs another process using the image [{}]?", disk.path());
}

bool QemuCore::write_record() {
  if (!running_ || lacks_pages || line.disk_path.empty()) return false;
  const auto record = disk.whole() + 1;
  disk.write(record);
  if (!disk.flush()) {  // werror=enospc, QEMU's default
    json::object data{{"device", ""},     {"node-name", "disk0"}, {"operation", "write"},
                      {"action", "stop"}, {"nospace", true},      {"reason", "No space left on device"}};
    event("BLOCK_IO_ERROR", std::move(data));
    halt("io-error");
    return true;
  }
  remembered_ = record;
  guests_.acknowledge(line.instance, record);
  return true;
}

sys::Task<Result<>> QemuCore::flush_all() {
  const auto own = disk.flush();
  if (!own) co_return own;
  if (!target) co_return Result<>{};
  co_return co_await target->flush();
}

}  // namespace godwit::sim
