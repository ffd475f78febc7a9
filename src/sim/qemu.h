// A simulated qemu-system-x86_64: what a host's processes start under that name, driven over QMP as the real one is.
// It follows docs/formats/qemu-migration-control.md, its traps included.
#pragma once

#include "sim/qemu_backup.h"
#include "sim/qemu_base.h"
#include "sim/qemu_core.h"
#include "sim/qemu_migration.h"
#include "sim/qemu_mirror.h"
#include "sim/qemu_nbd.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace godwit::sim {

inline constexpr const char* kQemu = "qemu-system-x86_64";

// From now on `host` can start QEMUs, and ask QEMU what it can do. `guests` outlives the world's processes.
void install_qemu(Host& host, Guests& guests, const QemuSettings& settings);

class Qemu final : public Program {
 public:
  Qemu(Process& process, Guests& guests, const QemuSettings& settings, const sys::ProcessSpec& spec);
  ~Qemu() override;

  [[nodiscard]] const std::string& instance() const { return core_.line.instance; }
  [[nodiscard]] bool running() const { return core_.running(); }
  // Of its network device; 0 where it has none.
  [[nodiscard]] std::size_t queue_pairs() const { return core_.line.queue_pairs; }
  // Alive, and deaf for good.
  void hang();
  // The guest powers itself off.
  void power_off() { shut_down(true, "guest-shutdown"); }

 private:
  using Reply = Result<json::value>;
  using Command = std::function<sys::Task<Reply>(json::object)>;
  [[nodiscard]] sys::Task<void> main();
  [[nodiscard]] sys::Task<void> guest();
  [[nodiscard]] sys::Task<void> boot();
  [[nodiscard]] sys::Task<void> press_power_button();
  [[nodiscard]] sys::Task<void> quit_soon();
  void shut_down(bool by_guest, const std::string& reason);
  void add_commands();
  void add_mirror_commands();
  void add_migration_commands();
  void add_server_commands();
  void on(const std::string& name, std::function<Reply(const json::object&)> now);
  [[nodiscard]] sys::Task<Reply> execute(std::string command, json::object arguments);
  [[nodiscard]] sys::Task<Reply> add_target(json::object arguments);
  [[nodiscard]] sys::Task<Reply> remove_target(json::object arguments);
  [[nodiscard]] sys::Task<Reply> stop_and_flush(json::object arguments);
  [[nodiscard]] sys::Task<Reply> reopen(json::object arguments);
  [[nodiscard]] sys::Task<void> read_base();
  [[nodiscard]] Reply status() const;
  [[nodiscard]] Reply cont();
  [[nodiscard]] Reply mirror(const json::object& arguments);
  [[nodiscard]] Reply back_up(const json::object& arguments);
  [[nodiscard]] Reply cancel_job(const json::object& arguments);
  [[nodiscard]] Reply set_capabilities(const json::object& arguments);
  [[nodiscard]] Reply set_parameters(const json::object& arguments);
  [[nodiscard]] Reply dismiss_job(const json::object& arguments);
  [[nodiscard]] bool has_backup() const { return backup_ && !backup_->over(); }
  [[nodiscard]] bool has_job() const { return mirror_ && !mirror_->over(); }

  QemuCore core_;
  std::map<std::string, Command> commands_;
  MigrationParameters parameters_;
  QemuBase base_;
  std::uint64_t base_reads_{0};  // that the guest has done
  std::string target_name_;      // node name of core_.target
  std::unique_ptr<QemuMirror> mirror_;
  std::string backup_node_;  // a qcow2 that was opened
  std::string backup_path_;
  std::unique_ptr<QemuBackup> backup_;
  NbdServer server_;
  QemuOutgoing outgoing_;
  QemuIncoming incoming_;
  std::unique_ptr<MainLoop::Hold> hung_;
  sys::Gate gate_;
};

}  // namespace godwit::sim
