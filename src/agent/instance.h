// One instance on this host: makes what is meet what is desired, again and again, unless a migration has the word.
#pragma once

#include "agent/images.h"
#include "agent/records.h"
#include "agent/served_base.h"
#include "hypervisor/machine.h"
#include "image/store.h"
#include "migrate/service.h"
#include "sys/runtime.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace godwit::agent {

// The device that QEMU holds; the switch joins it to one of its own. At most 15 characters.
[[nodiscard]] std::string tap_name_of(const std::string& instance);

// What the instances of a host share.
struct InstanceContext {
  sys::Runtime& runtime;
  Records& records;
  Images& images;
  hypervisor::QemuProgram qemu;
  image::DiskServerProgram disk_server;
  std::string instances_directory;  // STATE/instances
  std::function<std::uint32_t(const std::string& network)> mtu_of;
  std::function<void()> changed;  // something that is reported, or that the switch must hear, has changed
};

// One actor: its loop and the migrations' calls take turns (lock()). It outlives neither its record nor its directory.
class Instance {
 public:
  Instance(InstanceContext& context, InstanceRecord record);
  ~Instance();

  // What the cloud wants, and what migrations allow. Wakes the loop where that is something new.
  void set_desired(wire::DesiredInstanceState desired, migrate::Standing standing);
  void retry();                          // what failed or is half done, now: something that it lacked is there
  void start();                          // the loop
  [[nodiscard]] sys::Task<void> stop();  // QEMU goes on

  [[nodiscard]] const InstanceRecord& record() const { return record_; }
  [[nodiscard]] wire::InstanceReport report() const;
  [[nodiscard]] bool gone() const { return gone_; }  // deleted: the owner drops it when nobody is inside any more
  [[nodiscard]] bool idle() const { return !locked_ && waiting_ == 0 && gate_.running() == 0; }
  void set_ready();
  // This host has it by a migration, with this version and what proves it, from now on.
  void set_arrived(std::uint64_t location_version, std::string claim);
  // The version of this host's claim, for the switch: 0 while the instance is only arriving.
  [[nodiscard]] std::uint64_t claim() const { return claim_; }
  void set_claim(std::uint64_t version);

  // For migrations; null where no QEMU runs. Shared, since an operation of a migration may still wait in it while the
  // instance lets go of it.
  [[nodiscard]] std::shared_ptr<hypervisor::Machine> machine() const { return machine_; }
  // A paused QEMU with an empty overlay, waiting for its memory. Leaves nothing behind when it fails.
  [[nodiscard]] sys::Task<Result<>> receive(bool post_copy);
  [[nodiscard]] sys::Task<Result<>> adopt();  // QEMU of an earlier agent. Errors: unavailable
  // It is not to run, and does not, as far as is known.
  [[nodiscard]] bool stopped() const;
  // Its disk, while it is stopped: no QEMU gets it, and it is not deleted, as long as the answer lives. Errors:
  // not_found (it has gone); conflict (it is not stopped, or a migration has the word).
  [[nodiscard]] sys::Task<Result<std::shared_ptr<void>>> hold_disk();
  // Kills QEMU; the disk stays.
  [[nodiscard]] sys::Task<Result<>> end_received();
  // Kills QEMU, removes directory and record.
  [[nodiscard]] sys::Task<Result<>> destroy();
  [[nodiscard]] std::string directory() const;

 private:
  class Turn;
  [[nodiscard]] sys::Task<Turn> lock();
  [[nodiscard]] sys::Task<void> run();
  [[nodiscard]] sys::Task<Result<>> step();
  [[nodiscard]] sys::Task<Result<>> boot();
  [[nodiscard]] sys::Task<Result<>> launch(hypervisor::Launch how);
  [[nodiscard]] sys::Task<Result<>> halt();
  [[nodiscard]] sys::Task<Result<>> erase();
  struct Base {
    image::Image image;
    std::optional<PartialDisk> partial;  // where it is not whole
  };
  [[nodiscard]] Result<Base> find_base(hypervisor::Launch how);
  [[nodiscard]] sys::Task<Result<>> settle_base();
  [[nodiscard]] Result<> make_disk(const image::Image& image);
  [[nodiscard]] sys::Task<void> let_go();
  void attach(std::unique_ptr<hypervisor::Machine> machine);
  void save();

  InstanceContext& context_;
  InstanceRecord record_;
  Log log_;
  std::shared_ptr<hypervisor::Machine> machine_;
  ServedBase base_;              // while its image is on its way
  bool waits_for_image_{false};  // for what it needs of that to begin
  wire::DesiredInstanceState desired_{wire::DesiredInstanceState::running};
  migrate::Standing standing_{migrate::Standing::must_not_run};
  bool told_{false};  // set_desired() has been called: nothing is started before
  std::uint64_t claim_{0};
  std::string problem_;
  bool gone_{false};
  bool locked_{false};
  std::size_t waiting_{0};  // for their turn
  sys::Signal unlocked_;
  sys::Signal wake_;
  bool woken_{false};
  sys::Gate gate_;
};

}  // namespace godwit::agent
