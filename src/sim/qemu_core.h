// What the parts of one simulated QEMU share: the process, the monitor, the vCPUs and the disk.
#pragma once

#include "sim/host.h"
#include "sim/qemu_disk.h"
#include "sim/qemu_monitor.h"

#include <functional>
#include <memory>
#include <string>

namespace godwit::sim {

class NbdTarget;

// How a guest behaves, and how long QEMU's own work takes. The same for all of a host.
struct QemuSettings {
  Nanos start_time{Millis{20}};
  Nanos boot_time{Seconds{2}};           // until the guest phones home, where it has a network
  Nanos shutdown_time{Seconds{1}};       // of a guest whose power button was pressed
  Nanos write_interval{Millis{5}};       // from one disk record to the next
  std::uint64_t memory_bytes{1 << 20U};  // that a first round sends
  std::uint64_t dirty_bytes_per_s{256UL * 1024};
  std::uint64_t copy_bytes_per_s{1'000'000'000};  // as fast as QEMU reads memory or disk
  std::uint64_t overlay_bytes{512UL * 1024};      // of the disk, beside the records
  std::uint32_t device_bytes{40'000};
  bool post_copy{false};        // vm.unprivileged_userfaultfd
  std::uint32_t base_reads{0};  // of what its disk is on, before it phones home; it goes on reading then
  // What a guest has read there; no bytes: an I/O error.
  std::function<void(const std::string& instance, std::uint64_t offset, ByteView bytes)> base_read{};
};

// Of the command line, what the simulation looks at.
struct QemuLine {
  std::string instance;
  std::string monitor_path;
  std::string disk_path;
  std::string base_node;    // what the disk is on; empty: on nothing
  std::string base_path;    // of a file,
  std::string base_socket;  // or of an NBD server
  std::string mac;          // empty: no network
  std::uint8_t queue_pairs{0};
  bool incoming{false};
  bool stopped{false};  // -S
};

class QemuCore final {
 public:
  QemuCore(Process& process, Guests& guests, QemuSettings settings, QemuLine line, std::string output_path,
           QemuMonitor::Execute execute);
  ~QemuCore();
  QemuCore(const QemuCore&) = delete;
  QemuCore& operator=(const QemuCore&) = delete;

  [[nodiscard]] sys::Runtime& runtime() { return process_.runtime(); }
  [[nodiscard]] Process& process() { return process_; }
  [[nodiscard]] sys::Clock& clock() { return process_.runtime().clock; }
  void event(const std::string& name, json::object data = json::object()) { monitor.event(name, std::move(data)); }
  void migration_event(const std::string& status);
  // Writes `line` to the log and ends the process.
  void die(const std::string& line);
  void end() { process_.kill(); }

  // RESUME, STOP; nothing happens when they run, or stand still, already. A runstate is QEMU's, as query-status says.
  void run();
  void halt(const std::string& runstate);
  [[nodiscard]] bool running() const { return running_; }
  // Errors: in QEMU's words, where another process has the disk.
  [[nodiscard]] Result<> activate_disk();
  // What the guest remembers to have written, and was promised: a part of its memory.
  [[nodiscard]] std::uint64_t remembered() const { return remembered_; }
  void remember(std::uint64_t records) { remembered_ = records; }
  // One record, while the guest runs. False: nothing was written.
  [[nodiscard]] bool write_record();

  // Flushes the disk and the mirror's target. The caller holds the main loop.
  [[nodiscard]] sys::Task<Result<>> flush_all();

  const QemuSettings settings;
  const QemuLine line;
  std::string runstate;
  bool booted{false};    // the guest has phoned home; a part of its memory
  bool autostart{true};  // with an incoming migration: run when it is loaded
  MainLoop loop;
  QemuMonitor monitor;
  QemuDisk disk;
  std::unique_ptr<NbdTarget> target;  // the mirror's, while it is open
  bool lacks_pages{false};            // and nobody sends them: a guest that runs waits for one

 private:
  Process& process_;
  Guests& guests_;
  std::string output_path_;
  bool running_{false};
  std::uint64_t remembered_{0};
};

}  // namespace godwit::sim
