// One QEMU of ours: started, or adopted from an earlier agent, and driven over QMP. It outlives the object: no
// destructor touches it.
//
// A machine's directory (absolute, mode 0700, owned by the machine's own unprivileged uid) holds all that QEMU may
// touch: disk.qcow2, console.log, qmp.sock, nbd.sock and memory.sock; and machine.json beside it, as DIRECTORY.json,
// which QEMU may not: what was started and as which process, for adoption. DIRECTORY.log is what QEMU said.
#pragma once

#include "hypervisor/qmp.h"
#include "sys/runtime.h"
#include "wire/json.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace godwit::hypervisor {

// Everything of the command line that is not the same for all. Values were validated (wire::validate(InstanceSpec)).
struct MachineSpec {
  std::string id;  // the instance's
  std::string directory;
  unsigned uid{0};
  std::uint32_t vcpus{1};
  std::uint32_t memory_mib{512};
  std::string machine_type;  // versioned: "pc-q35-7.2"
  std::string cpu_model;
  std::string accelerator;  // "kvm" or "tcg"
  std::string disk_path;    // the overlay
  std::string base_path;    // what it is on; empty: on nothing
  std::string base_format;  // "qcow2", "raw"
  std::string
      base_socket;  // while base_path (raw) is not whole: where an NBD server has it as "base"; see use_local_base()
  std::string kernel_path;  // direct kernel boot; empty: the disk's boot loader
  std::string initrd_path;
  std::string cmdline;
  std::string mac;
  std::uint32_t mtu{1400};
  std::string serial;            // SMBIOS serial and uuid, as cloud-init's Ec2 wants them; see serial_of()
  std::uint32_t queue_pairs{1};  // of the network device, part of what a migration finds the same at both ends
};
BOOST_DESCRIBE_STRUCT(MachineSpec, (),
                      (id, directory, uid, vcpus, memory_mib, machine_type, cpu_model, accelerator, disk_path,
                       base_path, base_format, base_socket, kernel_path, initrd_path, cmdline, mac, mtu, serial,
                       queue_pairs))

// A uuid that starts with "ec2", the same for the same instance wherever it runs.
[[nodiscard]] std::string serial_of(const std::string& instance_id);

enum class Launch : std::uint8_t {
  cold = 1,  // boots
  deferred,  // paused, to be told what to do: for probes
  incoming,  // paused, with an NBD server on nbd.sock that exports "disk0" and a migration listener on memory.sock
  incoming_post_copy,  // likewise, and willing to load by post-copy where post_copy_problem() has nothing against it
};

struct QemuProgram {
  std::string path{"/usr/bin/qemu-system-x86_64"};
};

// The whole command line; pure. `tap_descriptors`: numbers in QEMU, one a queue pair; none for a machine without
// network.
[[nodiscard]] std::vector<std::string> command_line(const QemuProgram& qemu, const MachineSpec& spec, Launch launch,
                                                    const std::vector<int>& tap_descriptors);

enum class MachineState : std::uint8_t {
  starting = 1,
  running,
  paused,     // by us, by a migration, or by an I/O error
  incoming,   // waits for a migration, or has loaded one
  hung,       // alive, but its monitor has not answered for 10 s
  shut_down,  // the guest has ended itself
  dead,       // the process is gone
};

struct MigrationStatus {
  std::string status;  // QEMU's: "active", "pre-switchover", "completed", "failed", …
  std::uint64_t total_bytes{0};
  std::uint64_t remaining_bytes{0};
  std::uint64_t transferred_bytes{0};
  std::uint64_t dirty_bytes_per_s{0};
  std::uint32_t rounds{0};            // dirty-sync-count
  std::uint64_t disk_total_bytes{0};  // of the mirror job
  std::uint64_t disk_done_bytes{0};
};

struct MemoryOptions {
  std::uint32_t downtime_limit_ms{100};
  std::uint64_t max_bytes_per_s{0};  // 0: no limit
  bool auto_converge{false};
  bool post_copy{false};  // start_post_copy() may come; the destination was launched as incoming_post_copy, and can
};

class Machine {
 public:
  // Starts QEMU and returns when its monitor answers. Takes over `tap_descriptors`: one a queue pair, closed here;
  // none: a machine without network. Errors: not_found (no QEMU), timed_out, io with the last line that QEMU said.
  // Leaves no process behind when it fails.
  [[nodiscard]] static sys::Task<Result<std::unique_ptr<Machine>>> launch(
      sys::Runtime& runtime, QemuProgram qemu, MachineSpec spec, Launch launch,
      std::vector<int> tap_descriptors = std::vector<int>());
  // The one that DIRECTORY.json tells of. Errors: not_found (nothing recorded), unavailable (its process is gone; the
  // record is removed), timed_out (alive, but hung).
  [[nodiscard]] static sys::Task<Result<std::unique_ptr<Machine>>> adopt(sys::Runtime& runtime, std::string directory);
  // SIGKILL to the one that DIRECTORY.json tells of, whether its monitor answers or not. Returns when it is gone; not
  // an error where there is none. Errors: io.
  [[nodiscard]] static sys::Task<Result<>> end(sys::Runtime& runtime, std::string directory);
  virtual ~Machine() = default;

  [[nodiscard]] virtual const MachineSpec& spec() const = 0;
  [[nodiscard]] virtual sys::ProcessId process() const = 0;
  // As events and the last poll say; on_changed is called when it has become another.
  [[nodiscard]] virtual MachineState state() const = 0;
  virtual void on_changed(std::function<void()> changed) = 0;
  // What is wrong, for people: "block I/O error on disk0: No space left on device". Empty when nothing is.
  [[nodiscard]] virtual std::string problem() const = 0;
  [[nodiscard]] virtual sys::Task<void> wait_dead() = 0;

  // ACPI power button; killed after `grace`. Returns when the process is gone.
  [[nodiscard]] virtual sys::Task<void> stop(Nanos grace) = 0;
  // SIGKILL; returns when the process is gone, and removes DIRECTORY.json.
  [[nodiscard]] virtual sys::Task<void> kill() = 0;
  // Lets go of the monitor; QEMU goes on. Call before destruction.
  [[nodiscard]] virtual sys::Task<void> detach() = 0;

  // Whether what the overlay is on is read from base_path, and not from base_socket. While it is not, start_disk() is
  // refused: the pause would wait for reads that wait for what is missing.
  [[nodiscard]] virtual bool has_local_base() const = 0;
  // From now on it is, and nobody serves at base_socket any more; base_path is whole. The guest runs meanwhile. The
  // server must answer until then: QEMU ends the reads that are under way. Idempotent, also from agent to agent.
  // Errors: conflict (a mirror or a migration stands: try later).
  [[nodiscard]] virtual sys::Task<Result<>> use_local_base() = 0;

  // Begins to copy what the overlay has at this moment to `path`: an empty qcow2 of the overlay's size that the
  // machine's uid may write to, and whose backing is not looked at. The guest runs on, and is asked nothing: the copy
  // is what a power failure would have left. Where the file system of `path` is full, QEMU stops the guest as where its
  // own disk is. Errors: conflict (a mirror, a migration or another copy stands, or it neither runs nor is paused).
  [[nodiscard]] virtual sys::Task<Result<>> start_snapshot(std::string path) = 0;
  // Returns when all of it is there, which end_snapshot() then closes. Errors: io.
  [[nodiscard]] virtual sys::Task<Result<>> wait_snapshot() = 0;
  // No copy stands, and its file is closed, when it returns. Idempotent, also from agent to agent; an adopted machine
  // has none. Errors: timed_out.
  [[nodiscard]] virtual sys::Task<Result<>> end_snapshot() = 0;

  // As the source of a migration, in this order. Contracts as in migrate/guest.h, SourceGuest.
  [[nodiscard]] virtual sys::Task<Result<>> start_disk(std::string nbd_socket, std::uint64_t max_bytes_per_s) = 0;
  [[nodiscard]] virtual sys::Task<Result<>> wait_disk_ready() = 0;
  [[nodiscard]] virtual sys::Task<Result<>> start_memory(std::string socket, MemoryOptions options) = 0;
  [[nodiscard]] virtual sys::Task<Result<>> wait_paused() = 0;
  [[nodiscard]] virtual sys::Task<Result<>> end_disk() = 0;
  [[nodiscard]] virtual sys::Task<Result<>> continue_switchover() = 0;
  [[nodiscard]] virtual sys::Task<Result<>> allow_pause(std::uint32_t downtime_limit_ms) = 0;
  [[nodiscard]] virtual sys::Task<Result<>> allow_auto_converge() = 0;
  // Ends the rounds, whatever is left: QEMU pauses, wait_paused() returns, and what is left follows after the
  // switchover. continue_switchover() then returns when that begins: from there on, too, it never resumes by itself.
  [[nodiscard]] virtual sys::Task<Result<>> start_post_copy() = 0;
  [[nodiscard]] virtual sys::Task<Result<MigrationStatus>> migration_status() = 0;
  // Undoes whatever of the above stands, by whomever it was started, and lets the vCPUs run. Idempotent, and tells the
  // truth: it returns when they run. The caller closes its ends of both sockets first. On a connection that is quiet,
  // not closed, QEMU waits without end and answers nothing; and one of an earlier attempt that is closed during a later
  // start_memory() kills it. But a post-copy is cancelled while its connections stand: of one that was cut, the memory
  // is lost, and QEMU killed. Errors: timed_out (20 s a step), unavailable.
  [[nodiscard]] virtual sys::Task<Result<>> resume() = 0;

  // As the destination: contracts as in migrate/guest.h, DestinationGuest.
  [[nodiscard]] virtual sys::Task<Result<>> wait_loaded() = 0;
  [[nodiscard]] virtual sys::Task<Result<>> wait_whole() = 0;
  [[nodiscard]] virtual sys::Task<Result<>> finish_disk() = 0;
  // Errors also: conflict where the memory is not loaded yet; QEMU is told nothing then.
  [[nodiscard]] virtual sys::Task<Result<>> start() = 0;
  // Asks this QEMU, deferred or about to wait for a migration, to load it by post-copy if the source wants that.
  // Errors: unsupported, in QEMU's words.
  [[nodiscard]] virtual sys::Task<Result<>> check_post_copy() = 0;
  // Of one that was launched as incoming_post_copy: what it said against that, and the remedy. Empty: nothing.
  [[nodiscard]] virtual std::string post_copy_problem() const = 0;

 protected:
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
};

// The node that is the guest's disk, as QEMU was given it and as it is reopened; `local_base` as has_local_base().
[[nodiscard]] wire::json::object disk_node(const MachineSpec& spec, bool local_base);
// What it is on, as one node; null where it is on nothing.
[[nodiscard]] wire::json::object local_base_node(const MachineSpec& spec);
[[nodiscard]] wire::json::object served_base_node(const MachineSpec& spec);
// The unix sockets of a machine: QEMU listens on them as a destination, the agent as a source.
[[nodiscard]] std::string nbd_socket_of(const std::string& directory);
[[nodiscard]] std::string memory_socket_of(const std::string& directory);
// What QEMU said. It outlives the machine, for whoever asks why; whoever deletes the directory deletes it too.
[[nodiscard]] std::string log_of(const std::string& directory);

// What this host's QEMU can do. KVM is believed only when a tiny guest has really booted with it; the answer is kept in
// `cache_path` for this kernel, boot and QEMU.
struct Capabilities {
  std::string qemu_version;
  std::string accelerator;
  std::vector<std::string> machine_types;  // versioned ones that can migrate, newest first
  std::vector<std::string> cpu_models;
  bool post_copy{false};
  std::string post_copy_problem;  // QEMU's words, and the remedy
};
BOOST_DESCRIBE_STRUCT(Capabilities, (),
                      (qemu_version, accelerator, machine_types, cpu_models, post_copy, post_copy_problem))
[[nodiscard]] sys::Task<Result<Capabilities>> probe_capabilities(sys::Runtime& runtime, QemuProgram qemu,
                                                                 std::string scratch_directory, unsigned uid,
                                                                 std::string cache_path);

}  // namespace godwit::hypervisor
