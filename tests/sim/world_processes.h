// Godwit's own processes in a simulated world, each wired as src/apps wires it, from the seams of sim.
#pragma once

#include "agent/agent.h"
#include "api/cloud_routes.h"
#include "api/sky_routes.h"
#include "image/disk_server.h"
#include "overlay/own_sessions.h"
#include "overlay/service.h"
#include "sim/packets.h"
#include "sim/world_authorities.h"

#include <functional>
#include <memory>
#include <string>

namespace godwit::simtest {

inline constexpr const char* kImageDirectory = "/images/tiny";
inline constexpr const char* kAgentState = "/godwit";
inline constexpr std::uint16_t kSkyPort = 7400;
inline constexpr const char* kSkyToken = "gwsky_of-the-simulated-user";

// What of a cloud outlives its process: its disk. SQLite's is in memory.
struct CloudDisk {
  CloudDisk(const std::string& name, const std::string& api_url, const WorldAuthority& authority, sys::Random& random);
  std::unique_ptr<cloud::Database> database;
  cloud::Keys keys;
};

// `godwit cloud run`
class CloudProcess final : public sim::Program {
 public:
  CloudProcess(sim::Process& process, CloudDisk& disk);
  [[nodiscard]] cloud::Cloud& cloud() { return *cloud_; }
  [[nodiscard]] cloud::Depot& depot() { return *depot_; }

 private:
  std::unique_ptr<cloud::Cloud> cloud_;
  std::unique_ptr<cloud::Depot> depot_;
  std::unique_ptr<api::CloudRoutes> routes_;
  std::unique_ptr<sys::HttpServer> server_;
};

// `godwit sky run`
class SkyProcess final : public sim::Program {
 public:
  explicit SkyProcess(sim::Process& process);
  [[nodiscard]] sky::Sky& sky() { return *sky_; }

 private:
  std::unique_ptr<sky::Sky> sky_;
  std::unique_ptr<api::SkyRoutes> routes_;
  std::unique_ptr<sys::HttpServer> server_;
};

// `godwit switch`
class SwitchProcess final : public sim::Program {
 public:
  // `ended` is called where it can't start, as on a full disk.
  SwitchProcess(sim::Process& process, const std::function<void()>& ended);
  [[nodiscard]] const overlay::Switch& core() const { return service_->core(); }

 private:
  sim::SimSwitchLinks links_;
  std::unique_ptr<sim::SimPacketIo> packets_;
  std::unique_ptr<overlay::OwnSessions> sessions_;
  std::unique_ptr<overlay::Service> service_;
};

// `godwit agent run`, of a host that has joined.
class AgentProcess final : public sim::Program {
 public:
  AgentProcess(sim::Process& process, agent::AgentConfig config, std::string ca_pem, std::function<void()> ended);
  // Null until it knows what its QEMU can do.
  [[nodiscard]] const agent::Agent* agent() const { return agent_.get(); }

 private:
  [[nodiscard]] sys::Task<void> serve(agent::AgentConfig config);

  sim::Process& process_;
  std::function<void()> ended_;  // where it can't start
  std::unique_ptr<agent::Agent> agent_;
};

// `godwit disk-server`
class DiskServerProcess final : public sim::Program {
 public:
  DiskServerProcess(sim::Process& process, const sys::ProcessSpec& spec);

 private:
  std::unique_ptr<image::DiskServer> server_;
};
// From now on an agent of the host can start it.
void install_disk_server(sim::Host& host);

}  // namespace godwit::simtest
