// Snapshots of this host's instances: a copy of an instance's disk while it runs, or that disk itself while the
// instance is stopped, made an image of this host, and brought to the cloud, which gives it its name.
//
//   asked ─▶ copying (QEMU, where it runs) ─▶ storing (image/import) ─▶ sending (image/shipment) ─▶ stored, until the
//   cloud has heard it
//
// Nothing of it outlives the agent: the next one begins anew, with the disk as it is then.
#pragma once

#include "agent/cloud_link.h"
#include "agent/instances.h"
#include "image/import.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace godwit::agent {

class Snapshots {
 public:
  // All references outlive it. `standing`: what migrations say of an instance.
  Snapshots(InstanceContext& context, Instances& instances, CloudLink& cloud, std::string directory,
            std::function<migrate::Standing(const std::string& instance)> standing);

  // Removes what an earlier agent left. Errors: io.
  [[nodiscard]] Result<> start();
  [[nodiscard]] sys::Task<void> stop();

  // What the cloud wants. What it does not want any more is given up at the next step.
  void set(const std::vector<wire::DesiredSnapshot>& desired);
  [[nodiscard]] std::vector<wire::SnapshotReport> reports() const;

 private:
  struct Entry {
    wire::DesiredSnapshot wanted;
    wire::SnapshotReport report;
    std::uint64_t disk_bytes{0};  // as the guest sees it
    image::Lease image;           // from storing on: it stays until the cloud has named it
    bool desired{true};
    bool over{false};
  };
  using Shared = std::shared_ptr<Entry>;  // with the task that works on it, when it is forgotten meanwhile

  [[nodiscard]] sys::Task<void> run(Shared entry);
  [[nodiscard]] sys::Task<Result<>> make(Shared entry);
  // Who has the instance's disk: its QEMU; or nobody, who does not get it meanwhile.
  struct Disk {
    std::shared_ptr<hypervisor::Machine> machine;
    std::shared_ptr<void> held;
  };
  [[nodiscard]] sys::Task<Result<Disk>> disk_of(Shared entry);
  [[nodiscard]] sys::Task<Result<>> copy(Shared entry, std::shared_ptr<hypervisor::Machine> machine,
                                         const image::Image* base, std::string path);
  [[nodiscard]] sys::Task<Result<>> store(Shared entry, const image::Image* base, std::string path);
  [[nodiscard]] sys::Task<Result<>> send(Shared entry);
  [[nodiscard]] sys::Task<Result<image::Image>> base_of(Shared entry);
  [[nodiscard]] Result<> check_room(const std::string& disk) const;
  [[nodiscard]] std::string path_of(const Entry& entry) const { return directory_ + "/" + entry.wanted.id; }
  void say(Entry& entry, wire::SnapshotPhase phase, std::string problem = {});
  void remove_copy(const std::string& path);

  InstanceContext& context_;
  sys::Runtime& runtime_;
  Instances& instances_;
  CloudLink& cloud_;
  std::string directory_;
  std::function<migrate::Standing(const std::string&)> standing_;
  std::map<std::string, Shared> entries_;
  sys::Gate gate_;
};

}  // namespace godwit::agent
