// What goes wrong in a simulated world, and how it is mended after a while.
#pragma once

#include "sim/world_rig.h"

#include <array>
#include <string>

namespace godwit::simtest {

enum class Fault : std::uint8_t {
  source_agent,
  destination_agent,
  source_qemu,
  destination_qemu,
  wan,                   // hosts and clouds alike
  hosts_only,            // the hosts lose each other; the destination reaches the source's cloud
  source_cloud_cut_off,  // of the destination's host
  source_cloud,
  destination_cloud,
  sky,
  switches,
  source_power,
  destination_power,
  source_disk_full,
  destination_disk_full,
  cancel,
};
inline constexpr int kFaults = 16;

// Of a migration from a1 at cloud-a to b1 at cloud-b.
class Accident final {
 public:
  Accident(WorldRig& rig, std::string instance, std::string migration)
      : rig_(rig), instance_(std::move(instance)), migration_(std::move(migration)) {}

  void happen(Fault fault);

 private:
  [[nodiscard]] Millis span();
  void after(Nanos span, std::function<void()> what);
  void crash(const std::string& host, const std::string& process);
  void kill_qemu(const std::string& host);
  void cut(const std::string& a, const std::string& b);
  void fill_disk(const std::string& host);
  void cancel();

  WorldRig& rig_;
  std::string instance_;
  std::string migration_;
};

}  // namespace godwit::simtest
