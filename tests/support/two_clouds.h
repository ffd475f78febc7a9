// Two clouds that were introduced to each other for one network, with obedient hosts and one tenant on both.
#pragma once

#include "support/cloud_bench.h"

#include <map>

namespace godwit::testing {

inline const std::string kImageSha(64, 'a');
inline const std::string kNetwork = "net-00000000000000001";

inline std::string instance_id(int number) { return fmt::format("i-{:017x}", number); }
inline std::string migration_id(int number) { return fmt::format("mig-{:017x}", number); }

// A host as its cloud sees it: reports, and does at once what it is told.
class ObedientHost {
 public:
  ObedientHost(CloudBench& cloud, const std::string& name, std::uint32_t memory_mib = 2048) : cloud_(cloud) {
    report.host = name;
    report.capacity = {2, memory_mib, 40};
    report.accelerator = "tcg";
    report.qemu_version = "7.2.22";
    report.machine_types = {"pc", "q35", "pc-q35-6.2", "pc-q35-7.2"};
    report.cpu_models = {"Nehalem", "qemu64"};
    report.migration_point = {cloud.name(), name, "192.0.2.10", 7001, cloud::certificate_name(name, cloud.name())};
    report.overlay_ip = "192.0.2.10";
    report.overlay_port = 7100;
    report.images = {{"debian-12", kImageSha}};
  }

  // Reports and takes what it is given, without doing anything.
  wire::DesiredState sync() {
    auto given = cloud_.sync(report);
    EXPECT_TRUE(given) << given.error().message;
    if (given) desired = std::move(*given);
    report.seen_generation = desired.generation;
    return desired;
  }
  // Until nothing changes any more.
  void obey() {
    for (int round = 0; round < 8; ++round) {
      const auto before = report.seen_generation;
      sync();
      const bool changed = act();
      if (!changed && report.seen_generation == before) return;
    }
  }
  void say(const std::string& migration, wire::MigrationRole role, wire::MigrationPhase phase) {
    wire::MigrationReport said;
    said.id = migration;
    said.role = role;
    said.phase = phase;
    report.migrations = {said};
    sync();
  }
  [[nodiscard]] const wire::DesiredInstance* desires(const std::string& instance) const {
    for (const auto& each : desired.instances) {
      if (each.spec.id == instance) return &each;
    }
    return nullptr;
  }
  wire::InstanceReport* instance(const std::string& id) {
    for (auto& each : report.instances) {
      if (each.id == id) return &each;
    }
    return nullptr;
  }

  wire::HostReport report;
  wire::DesiredState desired;

 private:
  bool act() {
    bool changed = false;
    for (const auto& wanted : desired.instances) {
      if (!wanted.incoming_migration.empty()) continue;
      const auto* has = instance(wanted.spec.id);
      if (wanted.state == wire::DesiredInstanceState::absent) {
        changed |= std::erase_if(report.instances, [&](const auto& each) { return each.id == wanted.spec.id; }) > 0;
        continue;
      }
      const auto state = wanted.state == wire::DesiredInstanceState::running ? wire::InstanceState::running
                                                                             : wire::InstanceState::stopped;
      if (has && has->state == state) continue;
      changed = true;
      std::erase_if(report.instances, [&](const auto& each) { return each.id == wanted.spec.id; });
      report.instances.push_back({wanted.spec.id, state, state == wire::InstanceState::running, 1, ""});
    }
    return changed;
  }

  CloudBench& cloud_;
};

class TwoClouds : public ::testing::Test {
 protected:
  TwoClouds() {
    for (auto* bench : {&a, &b}) {
      bench->add_image("debian-12", kImageSha);
      introduce(*bench);
    }
    for (auto* host : {&a1, &a2, &b1, &b2}) host->sync();
  }

  [[nodiscard]] const std::string& token(const CloudBench& cloud) const { return &cloud == &a ? alice_a : alice_b; }
  [[nodiscard]] CloudBench& other(const CloudBench& cloud) { return &cloud == &a ? b : a; }

  static wire::Network network() {
    wire::Network out;
    out.id = kNetwork;
    out.name = "demo";
    out.vni = 77;
    out.cidr = "10.77.0.0/24";
    out.gateway = "10.77.0.1";
    out.domain = "demo.internal";
    out.key = std::string(64, 'b');
    return out;
  }
  void introduce(CloudBench& cloud) {
    const auto told = user<wire::Network>(cloud, "PUT", "/v1/networks/" + kNetwork, wire::encode(network()));
    EXPECT_TRUE(told) << told.error().message;
    const wire::NetworkPeers peers{{{other(cloud).name(), other(cloud).ca()}}};
    const auto peered = user(cloud, "PUT", "/v1/networks/" + kNetwork + "/peers", wire::encode(peers));
    EXPECT_TRUE(peered) << peered.error().message;
  }

  template <class T = wire::json::value>
  Result<T> user(CloudBench& cloud, std::string method, std::string path, std::string body = {}) {
    return cloud.told<T>(CloudBench::as_user(token(cloud), std::move(method), std::move(path), std::move(body)));
  }
  template <class T = wire::json::value>
  Result<T> host(CloudBench& cloud, const std::string& name, std::string path, std::string body = "{}") {
    return cloud.told<T>(CloudBench::as_host(name, cloud.name(), std::move(path), std::move(body)));
  }
  Result<wire::InstanceView> show(CloudBench& cloud, const std::string& id) {
    return user<wire::InstanceView>(cloud, "GET", "/v1/instances/" + id);
  }
  Result<wire::MigrationReport> show_migration(CloudBench& cloud, const std::string& id) {
    return user<wire::MigrationReport>(cloud, "GET", "/v1/migrations/" + id);
  }

  static wire::RunInstanceRequest run_request(int number, const std::string& host = "") {
    wire::RunInstanceRequest request;
    request.id = instance_id(number);
    request.name = fmt::format("node-{}", number);
    request.type = "t3.nano";
    request.image = "debian-12";
    request.interface = {kNetwork, fmt::format("02:67:00:00:00:{:02x}", number),
                         fmt::format("10.77.0.{}", 10 + number)};
    request.host = host;
    return request;
  }
  Result<wire::InstanceView> run(CloudBench& cloud, const wire::RunInstanceRequest& request) {
    return user<wire::InstanceView>(cloud, "POST", "/v1/instances", wire::encode(request));
  }
  // A running instance on a1.
  wire::InstanceView running(int number) {
    const auto ran = run(a, run_request(number, "a1"));
    EXPECT_TRUE(ran) << ran.error().message;
    a1.obey();
    return show(a, instance_id(number)).value();
  }

  wire::TicketRequest ticket_request(const wire::InstanceView& instance, int migration) {
    wire::TicketRequest request;
    request.migration = migration_id(migration);
    request.spec = instance.spec;
    request.source_cloud = "cloud-a";
    request.source_host_key = instance.host_key;
    request.destination_host = "b1";
    return request;
  }
  Result<wire::TicketGrant> ticket(const wire::TicketRequest& request) {
    return user<wire::TicketGrant>(b, "POST", "/v1/tickets", wire::encode(request));
  }
  Result<wire::MigrationReport> migrate(const wire::InstanceView& instance, int migration,
                                        const wire::TicketGrant& grant) {
    wire::MigrateRequest request;
    request.migration = migration_id(migration);
    request.grant = grant;
    request.destination_cloud = "cloud-b";
    return user<wire::MigrationReport>(a, "POST", "/v1/instances/" + instance.spec.id + "/migrate",
                                       wire::encode(request));
  }
  static wire::RedeemRequest redeem_request(const wire::InstanceView& instance, const wire::TicketGrant& grant) {
    return {grant.ticket, "cloud-a", instance.host_key, instance.spec};
  }
  Result<wire::RedeemAnswer> redeem(const wire::RedeemRequest& request, const std::string& host_name = "b1") {
    return host<wire::RedeemAnswer>(b, host_name, "/v1/agent/tickets/redeem", wire::encode(request));
  }
  Result<wire::Decision> vote(const std::string& what, int migration, const std::string& host_name = "a1") {
    const auto answer =
        host<wire::DecisionAnswer>(a, host_name, "/v1/agent/migrations/" + migration_id(migration) + "/" + what);
    if (!answer) return pass(answer);
    return answer->decision;
  }
  // As the destination's agent asks the source's cloud.
  Result<wire::Decision> resolve(int migration, const std::string& host_name = "b1",
                                 const std::string& cloud = "cloud-b") {
    const auto answer = a.told<wire::DecisionAnswer>(
        CloudBench::as_host(host_name, cloud, "/v1/peer/migrations/" + migration_id(migration) + "/resolve"));
    if (!answer) return pass(answer);
    return answer->decision;
  }

  Sphere sphere;
  CloudBench a{sphere, "cloud-a"};
  CloudBench b{sphere, "cloud-b"};
  std::string alice_a{a.add_user("alice")};
  std::string alice_b{b.add_user("alice")};
  ObedientHost a1{a, "a1"};
  ObedientHost a2{a, "a2"};
  ObedientHost b1{b, "b1"};
  ObedientHost b2{b, "b2"};
};

}  // namespace godwit::testing
