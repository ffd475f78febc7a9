// The agent of one host: asks its cloud what shall be, says what is, and makes the two meet.
//
//   cloud ──DesiredState──▶ Agent::apply ──▶ Instance (QEMU), Gateway (DHCP, DNS, metadata), SwitchLink,
//   migrate::Service cloud ◀──HostReport─── Agent::report ◀── whatever of those has changed
#pragma once

#include "agent/cloud_link.h"
#include "agent/config.h"
#include "agent/gateway.h"
#include "agent/images.h"
#include "agent/instances.h"
#include "agent/observations.h"
#include "agent/scans.h"
#include "agent/snapshots.h"
#include "agent/switch_link.h"
#include "hypervisor/machine.h"
#include "migrate/service.h"
#include "migrate/shrink_encoding.h"
#include "siblings/directory.h"
#include "sys/runtime.h"

#include <list>
#include <map>
#include <memory>
#include <string>

namespace godwit::agent {

// What this host can do, found out before the agent starts.
struct HostFacts {
  hypervisor::Capabilities capabilities;
  wire::HostCapacity capacity;
};

// One an process. It may be destroyed at any moment (a crash): QEMUs, dnsmasqs and the switch go on, and the next agent
// takes them up from what is on disk.
class Agent final : private migrate::Locations, private migrate::Clouds {
 public:
  Agent(sys::Runtime runtime, AgentConfig config, HostFacts facts);
  ~Agent() override;

  // Takes up what an earlier agent left, then works until stop(). Errors: what keeps it from starting at all (a record
  // that can't be read, a port that is taken).
  [[nodiscard]] Result<> start();
  [[nodiscard]] sys::Task<void> stop();

  // As its cloud is told them, for whoever watches from outside.
  [[nodiscard]] std::vector<wire::MigrationReport> migrations() const { return migrations_.reports(); }
  [[nodiscard]] const siblings::Directory& directory() const { return directory_; }
  // In Prometheus' text format.
  [[nodiscard]] std::string metrics() const;

 private:
  [[nodiscard]] sys::Task<void> converse();
  [[nodiscard]] sys::Task<void> watch_changes();
  [[nodiscard]] sys::Task<void> read_back();
  [[nodiscard]] sys::Task<Result<>> sync_once();
  [[nodiscard]] wire::HostReport report() const;
  void apply();
  void apply_listening();
  void apply_trust();
  void apply_images();
  void apply_arrivals();
  void apply_instances();
  void apply_networks();
  // Of the LANs that its cloud lets this host have, which was asked at that moment.
  void take_leases(TimePoint asked, const wire::DesiredState& answer);
  [[nodiscard]] wire::LanReport report_of(const LanPort& lan) const;
  void apply_gateways();
  [[nodiscard]] sys::Task<void> end_gateway(std::list<std::unique_ptr<Gateway>>::iterator gateway);
  [[nodiscard]] Result<std::unique_ptr<content::Blocks>> open_volume(const std::string& sha256);
  [[nodiscard]] const wire::Network* find_network(const std::string& id) const;
  void changed();

  // migrate::Locations
  sys::Task<void> announce(wire::InstanceSpec spec, migrate::LocationProof proof) override;
  sys::Task<void> hold(wire::InstanceSpec spec, bool held) override;
  // migrate::Clouds
  sys::Task<Result<wire::RedeemAnswer>> redeem(wire::RedeemRequest request) override;
  sys::Task<Result<wire::Decision>> release(std::string migration) override;
  sys::Task<Result<wire::DecisionAnswer>> resolve(std::string cloud, std::string api_url,
                                                  std::string migration) override;

  sys::Runtime runtime_;
  AgentConfig config_;
  HostFacts facts_;
  Records records_;
  Images images_;
  InstanceContext context_;
  Instances instances_;
  SwitchLink switch_;
  CloudLink cloud_;
  content::Store content_;
  siblings::Directory directory_;
  content::Library volumes_;
  std::shared_ptr<migrate::HostMemory> memory_{std::make_shared<migrate::HostMemory>()};  // with both encodings
  migrate::ShrinkEncoding shrink_;
  migrate::ShrinkEncoding exact_only_;  // after the others: to be compared with
  migrate::Service migrations_;
  Snapshots snapshots_;
  Scans scans_;
  Observations observations_{runtime_, switch_, cloud_};
  std::map<std::string, std::unique_ptr<Gateway>> gateways_;  // by network
  std::list<std::unique_ptr<Gateway>> ended_gateways_;        // which stop
  std::map<std::string, wire::MigrationPhase> told_;          // what the cloud has heard of each migration
  wire::DesiredState desired_;
  std::optional<std::uint64_t> images_applied_;  // the generation of which
  sys::Gate gate_;
  sys::Signal changed_;
  bool dirty_{true};
  std::string listens_at_;  // inside the overlay
};

}  // namespace godwit::agent
