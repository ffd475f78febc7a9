// A cloud as its users see it, in memory: strict about what it is asked, and with time in its instances' lives.
#pragma once

#include "support/fake_http.h"
#include "wire/cloud_api.h"
#include "wire/cluster.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace godwit::testing {

class FakeCloud {
 public:
  struct Instance {
    wire::InstanceView view;
    std::optional<TimePoint> launched;
    std::optional<TimePoint> ended;
  };
  struct Migration {
    wire::MigrationReport report;
    std::optional<TimePoint> ordered;
    FakeCloud* destination{nullptr};
    bool cancelled{false};
  };

  // How long things take here.
  Millis boot{2'000};
  Millis ready{20'000};
  Millis end{1'000};
  Millis move{10'000};
  bool stuck{false};              // migrations stay in memory's rounds
  std::size_t room{1'000};        // instances that it really has room for, whatever the quota says
  std::string refuse_tickets;     // with this reason
  std::string refuse_tickets_of;  // a member's name; empty: of all
  bool refuse_hosts{false};       // tickets for a host that the user wishes for
  std::string refuse_orders;
  std::string refuse_launches;
  std::string leaf_record;  // of the host that serves leaves; empty: none does
  std::set<std::uint32_t> taken_vnis;

  wire::CloudView about;
  std::map<std::string, Instance> instances;
  std::map<std::string, wire::Network> networks;
  std::map<std::string, wire::NetworkPeers> peers;
  std::map<std::string, Migration> migrations;
  std::map<std::string, wire::TicketRequest> tickets;
  std::vector<wire::FenceRequest> fences;
  std::map<std::string, FakeCloud*>* others{nullptr};
  int launches{0};

  FakeCloud(sys::Clock& clock, std::string name) : clock_(clock) {
    about.name = name;
    about.ca_pem = "-----BEGIN CERTIFICATE-----\n" + name + "\n-----END CERTIFICATE-----\n";
    about.tenant = "alice";
    about.currency = "EUR";
    about.prices["t3.nano"] = 0.01;
    token_ = "token-of-" + name;
  }
  [[nodiscard]] const std::string& token() const { return token_; }

  sys::Task<sys::HttpResponse> handle(sys::HttpRequest request) {
    pass_time();
    const auto answer = dispatch(request);
    sys::HttpResponse response;
    if (answer) {
      response.body = *answer;
    } else {
      response.status = wire::http_status_of(answer.error().code);
      response.body = wire::error_body(answer.error());
    }
    co_return response;
  }

  [[nodiscard]] std::size_t alive() const {
    return static_cast<std::size_t>(std::count_if(instances.begin(), instances.end(), [](const auto& each) {
      return each.second.view.state != wire::InstanceState::terminated &&
             each.second.view.state != wire::InstanceState::moved;
    }));
  }

  void pass_time() {
    for (auto& [id, instance] : instances) age(instance);
    for (auto& [id, migration] : migrations) age(id, migration);
  }

 private:
  using Answer = Result<std::string>;

  Answer dispatch(const sys::HttpRequest& request) {
    const auto authorization = request.headers.find("authorization");
    if (authorization == request.headers.end() || authorization->second != "Bearer " + token_) {
      return fail(Errc::not_authentic, "no such token");
    }
    const auto path = split(request.path);
    const auto& method = request.method;
    const auto is = [&](std::string_view verb, std::initializer_list<std::string_view> pattern) {
      return method == verb && path.size() == pattern.size() + 1 && path[0] == "v1" &&
             std::equal(pattern.begin(), pattern.end(), path.begin() + 1,
                        [](std::string_view want, std::string_view got) { return want == "*" || want == got; });
    };
    if (is("GET", {"cloud"})) return wire::encode(about_now());
    if (is("GET", {"hosts"})) return wire::encode(hosts());
    if (is("PUT", {"networks", "*"})) return put_network(path[2], request.body);
    if (is("GET", {"networks", "*"})) return network(path[2]);
    if (is("DELETE", {"networks", "*"})) return delete_network(path[2]);
    if (is("PUT", {"networks", "*", "peers"})) return put_peers(path[2], request.body);
    if (is("POST", {"instances"})) return run(request.body);
    if (is("GET", {"instances"})) return list();
    if (is("GET", {"instances", "*"})) return instance(path[2]);
    if (is("DELETE", {"instances", "*"})) return terminate(path[2]);
    if (is("POST", {"tickets"})) return ticket(request.body);
    if (is("POST", {"instances", "*", "migrate"})) return migrate(path[2], request.body);
    if (is("POST", {"instances", "*", "resolve"})) return resolve(request.body);
    if (is("GET", {"migrations", "*"})) return migration(path[2]);
    if (is("POST", {"migrations", "*", "cancel"})) return cancel(path[2]);
    return fail(Errc::not_found, "{} {}: no such call", method, request.path);
  }

  static std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
      path.remove_prefix(1);
      const auto slash = std::min(path.find('/'), path.size());
      parts.emplace_back(path.substr(0, slash));
      path.remove_prefix(slash);
    }
    return parts;
  }

  wire::CloudView about_now() const {
    auto view = about;
    view.used = wire::Quota::nothing();
    view.used.instances = static_cast<std::uint32_t>(alive());
    return view;
  }

  wire::HostList hosts() const {
    wire::HostView host;
    host.name = about.name.substr(about.name.size() - 1) + "1";
    host.alive = true;
    host.capacity = {8, 8192, 100};
    host.used = {static_cast<std::uint32_t>(alive()), static_cast<std::uint32_t>(alive() * 512), 0};
    host.images = {{"debian-12", std::string(64, 'a')}};
    return {{host}};
  }

  Answer put_network(const std::string& id, const std::string& body) {
    auto network = wire::decode<wire::Network>(body);
    if (!network) return pass(network);
    const auto valid = wire::validate(*network);
    if (!valid) return pass(valid);
    if (network->id != id) return fail(Errc::invalid_argument, "network {}: the body says {}", id, network->id);
    if (taken_vnis.contains(network->vni)) {
      return fail(Errc::conflict, "network {}: VNI {} is taken; draw another", id, network->vni);
    }
    networks[id] = *network;
    return this->network(id);
  }

  Answer network(const std::string& id) {
    const auto found = networks.find(id);
    if (found == networks.end()) return fail(Errc::not_found, "network {}: not known", id);
    auto said = found->second;
    for (auto& member : said.members) {
      if (member.served_by == about.name && !leaf_record.empty()) {
        member.location = {about.name, "leaf-host", "192.0.2.1", 4789, 1, leaf_record};
        continue;
      }
      const auto here = instances.find(member.instance);
      if (here == instances.end() || here->second.view.state != wire::InstanceState::running) continue;
      member.location = {about.name, here->second.view.host, "192.0.2.1", 4789, here->second.view.location_version};
    }
    said.key.clear();
    return wire::encode(said);
  }

  Answer put_peers(const std::string& id, const std::string& body) {
    if (!networks.contains(id)) return fail(Errc::not_found, "network {}: not known", id);
    auto said = wire::decode<wire::NetworkPeers>(body);
    if (!said) return pass(said);
    peers[id] = *said;
    return "{}";
  }

  Answer delete_network(const std::string& id) {
    for (const auto& [instance, each] : instances) {
      if (each.view.spec.interface.network == id && each.view.state != wire::InstanceState::terminated &&
          each.view.state != wire::InstanceState::moved) {
        return fail(Errc::conflict, "network {}: {} is on it", id, instance);
      }
    }
    if (!networks.erase(id)) return fail(Errc::not_found, "network {}: not known", id);
    peers.erase(id);
    return "{}";
  }

  Answer run(const std::string& body) {
    const auto request = wire::decode<wire::RunInstanceRequest>(body);
    if (!request) return pass(request);
    if (instances.contains(request->id)) return wire::encode(instances[request->id].view);
    if (!networks.contains(request->interface.network)) return fail(Errc::not_found, "network: not known");
    if (!refuse_launches.empty()) return fail(Errc::not_found, "run instance: {}", refuse_launches);
    if (std::min<std::size_t>(room, about.quota.instances) <= alive())
      return fail(Errc::exhausted, "quota: {} instances", about.quota.instances);
    const auto type = wire::find_instance_type(request->type);
    if (!type) return pass(type);
    Instance instance;
    auto& spec = instance.view.spec;
    spec.id = request->id;
    spec.tenant = about.tenant;
    spec.name = request->name;
    spec.cluster = request->cluster;
    spec.roles = request->roles;
    spec.type = type->name;
    spec.vcpus = type->vcpus;
    spec.memory_mib = type->memory_mib;
    spec.disk_gib = type->disk_gib;
    spec.image = request->image;
    spec.image_sha256 = std::string(64, 'a');
    spec.interface = request->interface;
    spec.ssh_keys = request->ssh_keys;
    spec.user_data = request->user_data;
    spec.machine_type = "pc-q35-7.2";
    spec.cpu_model = "Nehalem";
    spec.accelerator = "tcg";
    const auto valid = wire::validate(spec);
    if (!valid) return pass(valid);
    instance.view.cloud = about.name;
    instance.view.host = hosts().hosts[0].name;
    instance.view.host_key = std::string(64, 'b');
    instance.launched = clock_.now();
    ++launches;
    instances[request->id] = instance;
    return wire::encode(instance.view);
  }

  Answer list() {
    wire::InstanceList out;
    for (const auto& [id, each] : instances) {
      out.instances.push_back(each.view);
      out.instances.back().spec.user_data.clear();
    }
    return wire::encode(out);
  }

  Answer instance(const std::string& id) {
    const auto found = instances.find(id);
    if (found == instances.end()) return fail(Errc::not_found, "instance {}: not known", id);
    return wire::encode(found->second.view);
  }

  Answer terminate(const std::string& id) {
    const auto found = instances.find(id);
    if (found == instances.end()) return fail(Errc::not_found, "instance {}: not known", id);
    auto& instance = found->second;
    if (!instance.view.migration.empty()) return fail(Errc::conflict, "instance {}: it migrates", id);
    if (!instance.ended) instance.ended = clock_.now();
    age(instance);
    return "{}";
  }

  Answer ticket(const std::string& body) {
    const auto request = wire::decode<wire::TicketRequest>(body);
    if (!request) return pass(request);
    const bool refused = refuse_tickets_of.empty() || refuse_tickets_of == request->spec.name;
    if (!refuse_tickets.empty() && refused) return fail(Errc::exhausted, "ticket: {}", refuse_tickets);
    const auto& network = request->spec.interface.network;
    if (!networks.contains(network)) return fail(Errc::not_found, "ticket: network {} not known", network);
    const auto& members = networks[network].members;
    if (std::none_of(members.begin(), members.end(),
                     [&](const auto& each) { return each.instance == request->spec.id; })) {
      return fail(Errc::invalid_argument, "ticket: {} is no member of {}", request->spec.id, network);
    }
    const auto& clouds = peers[network].clouds;
    if (std::none_of(clouds.begin(), clouds.end(),
                     [&](const auto& each) { return each.cloud == request->source_cloud; })) {
      return fail(Errc::denied, "ticket: {} was not introduced", request->source_cloud);
    }
    const auto valid = wire::validate(request->spec);
    if (!valid) return pass(valid);
    const auto& wish = request->destination_host;
    if (!wish.empty() && (refuse_hosts || wish != hosts().hosts[0].name)) {
      return fail(Errc::exhausted, "ticket: host {} is full", wish);
    }
    tickets["ticket-" + request->migration] = *request;
    wire::TicketGrant grant;
    grant.ticket = "ticket-" + request->migration;
    grant.destination = {about.name, hosts().hosts[0].name, "192.0.2.1", 7444, "x." + about.name + ".godwit"};
    return wire::encode(grant);
  }

  Answer migrate(const std::string& id, const std::string& body) {
    const auto request = wire::decode<wire::MigrateRequest>(body);
    if (!request) return pass(request);
    if (migrations.contains(request->migration)) return wire::encode(migrations[request->migration].report);
    if (!refuse_orders.empty()) return fail(Errc::conflict, "migrate: {}", refuse_orders);
    const auto found = instances.find(id);
    if (found == instances.end()) return fail(Errc::not_found, "instance {}: not known", id);
    auto* destination = others->at(request->destination_cloud);
    if (!destination->tickets.contains(request->grant.ticket)) return fail(Errc::denied, "migrate: no such ticket");
    auto& migration = migrations[request->migration];
    migration.report.id = request->migration;
    migration.report.instance = id;
    migration.report.from_cloud = about.name;
    migration.report.to_cloud = request->destination_cloud;
    migration.report.progress.memory_total_bytes = std::uint64_t{found->second.view.spec.memory_mib} << 20U;
    migration.ordered = clock_.now();
    migration.destination = destination;
    found->second.view.migration = request->migration;
    return wire::encode(migration.report);
  }

  Answer migration(const std::string& id) {
    const auto found = migrations.find(id);
    if (found == migrations.end()) return fail(Errc::not_found, "migration {}: not known", id);
    return wire::encode(found->second.report);
  }

  Answer cancel(const std::string& id) {
    const auto found = migrations.find(id);
    if (found == migrations.end()) return fail(Errc::not_found, "migration {}: not known", id);
    if (wire::is_final(found->second.report.phase)) return fail(Errc::conflict, "migration {}: it has ended", id);
    found->second.cancelled = true;
    return "{}";
  }

  Answer resolve(const std::string& body) {
    const auto request = wire::decode<wire::FenceRequest>(body);
    if (!request) return pass(request);
    fences.push_back(*request);
    return "{}";
  }

  void age(Instance& instance) {
    auto& view = instance.view;
    const auto now = clock_.now();
    if (instance.ended) {
      view.ready = false;
      view.state = now >= *instance.ended + end ? wire::InstanceState::terminated : wire::InstanceState::shutting_down;
      return;
    }
    if (!instance.launched || view.state == wire::InstanceState::moved) return;
    if (now >= *instance.launched + boot && view.state == wire::InstanceState::pending) {
      view.state = wire::InstanceState::running;
      view.location_version = 1;
    }
    if (now >= *instance.launched + ready) view.ready = true;
  }

  void age(const std::string& id, Migration& migration) {
    if (!migration.ordered || wire::is_final(migration.report.phase)) return;
    auto& report = migration.report;
    auto& instance = instances[report.instance];
    if (migration.cancelled) {
      report.phase = wire::MigrationPhase::aborted;
      report.error = "cancelled by its user";
      instance.view.migration.clear();
      return;
    }
    const auto elapsed = clock_.now() - *migration.ordered;
    report.phase = elapsed < move / 2 ? wire::MigrationPhase::disk : wire::MigrationPhase::memory;
    const auto total = report.progress.memory_total_bytes;
    report.progress.memory_sent_bytes = std::min<std::uint64_t>(total, total * elapsed / move);
    const auto part = report.progress.memory_sent_bytes / 4;
    report.cost.savings = {.image = part, .sibling = 2 * part, .literal = part};
    report.cost.wan_bytes = {.memory = part / 16, .disk = 1'000};
    if (elapsed < move || stuck) return;
    hand_over(id, migration, instance);
  }

  void hand_over(const std::string& id, Migration& migration, Instance& instance) {
    auto& there = *migration.destination;
    auto& report = migration.report;
    report.phase = wire::MigrationPhase::completed;
    report.cost = {to_s(move), 120, {1'000'000, 500'000}, report.cost.savings, 3, {}};
    there.migrations[id].report = report;
    there.migrations[id].report.role = wire::MigrationRole::destination;
    there.migrations[id].report.to_host = there.hosts().hosts[0].name;
    auto& arrived = there.instances[report.instance];
    arrived.view = instance.view;
    arrived.view.cloud = there.about.name;
    arrived.view.host = there.hosts().hosts[0].name;
    arrived.view.migration.clear();
    arrived.view.ready = false;  // it has not phoned home here
    arrived.view.location_version += 1;
    instance.view.state = wire::InstanceState::moved;
    instance.view.moved_to = there.about.name;
    instance.view.migration.clear();
    instance.view.ready = false;
  }

  sys::Clock& clock_;
  std::string token_;
};

}  // namespace godwit::testing
