#include "sim/world_rig.h"

#include "base/assert.h"
#include "sim/clock.h"
#include "sim/dnsmasq.h"
#include "sim/host.h"
#include "sim/qemu.h"
#include "sim/world_authorities.h"

#include <algorithm>

namespace godwit::simtest {
namespace {

const std::string kTenant = "alice";
const std::string kImage = "tiny";
const std::string kImageSha(64, 'a');
const std::string kHomeIp = "10.9.0.1";
constexpr Seconds kRestart{1};  // what an init system waits before it starts again what has ended
constexpr Seconds kCallLimit{30};

const WorldAuthority& authority_of(const std::string& cloud) { return cloud == "cloud-a" ? kCaA : kCaB; }

class Bare final : public sim::Program {};

std::string api_url_of(const std::string& cloud) {
  return fmt::format("https://10.{}.0.1:7443", cloud.back() - 'a' + 1);
}

void add_image(sim::Host& host) {
  const std::string directory = kImageDirectory;
  const std::string manifest =
      R"({"name":"tiny","format":"qcow2","disk":"disk.qcow2","virtual_size_bytes":1073741824,"sha256":")" + kImageSha +
      R"(","kernel":"","initrd":"","cmdline":""})";
  auto& files = host.files();
  const bool made = files.make_directories(directory, 0755, 0) &&
                    files.write_atomic(directory + "/manifest.json", manifest, 0644) &&
                    files.write_atomic(directory + "/disk.qcow2", "QFI\xfb", 0644);
  GODWIT_ASSERT(made);
}

}  // namespace

// ---- machines

WorldRig::WorldRig(std::uint64_t seed, RigPlan plan) : world(seed), plan_(plan) {
  add_cloud("a", plan_.hosts_per_cloud);
  add_cloud("b", plan_.hosts_per_cloud);
  auto& home = world.add_host("home", "site-home", kHomeIp);
  home.start("user", {}, [](sim::Process&) { return std::make_unique<Bare>(); });
  processes_.emplace_back("home", "sky");
  for (const auto& [host, process] : processes_) start(host, process);
  add_accounts();
}

WorldRig::~WorldRig() = default;

void WorldRig::add_cloud(const std::string& letter, int hosts) {
  const auto name = "cloud-" + letter;
  const int number = letter[0] - 'a' + 1;
  world.add_host(name, "site-" + letter, fmt::format("10.{}.0.1", number));
  sim::SimRandom random(world.draw());
  clouds_[name] = std::make_unique<CloudDisk>(name, api_url_of(name), authority_of(name), random);
  processes_.emplace_back(name, "cloud");
  for (int i = 1; i <= hosts; ++i) {
    add_agent_host(fmt::format("{}{}", letter, i), name, fmt::format("10.{}.0.{}", number, 10 + i));
  }
}

void WorldRig::add_agent_host(const std::string& name, const std::string& cloud, const std::string& ip) {
  auto& host = world.add_host(name, "site-" + cloud.substr(cloud.size() - 1), ip);
  cloud_of_[name] = cloud;
  agent_hosts_.push_back(name);
  add_image(host);
  sim::install_qemu(host, guests, plan_.qemu);
  sim::install_dnsmasq(host);
  install_disk_server(host);
  processes_.emplace_back(name, "switch");
  processes_.emplace_back(name, "agent");
}

std::string WorldRig::ca_of(const std::string& cloud) const { return authority_of(cloud).pem; }

void WorldRig::start(const std::string& host_name, const std::string& process) {
  auto& host = world.host(host_name);
  if (host.find(process) || world.now() < dark_until_[host_name]) return;
  const auto again = [this, host_name, process] {
    world.at(world.now() + kRestart, [this, host_name, process] { start(host_name, process); });
  };
  if (process == "sky") {
    host.start(process, {}, [](sim::Process& at) { return std::make_unique<SkyProcess>(at); });
    return;
  }
  if (process == "cloud") {
    host.start(process, {cloud::certificate_name("api", host_name), ca_of(host_name)},
               [&](sim::Process& at) { return std::make_unique<CloudProcess>(at, *clouds_.at(host_name)); });
    return;
  }
  const auto& cloud = cloud_of_.at(host_name);
  const sim::Identity identity{cloud::certificate_name(host_name, cloud), ca_of(cloud)};
  if (process == "switch") {
    host.start(process, identity, [&](sim::Process& at) { return std::make_unique<SwitchProcess>(at, again); });
    return;
  }
  agent::AgentConfig config;
  config.cloud = cloud;
  config.host = host_name;
  config.cloud_url = api_url_of(cloud);
  config.image_fill_kib_s = plan_.image_fill_kib_s;
  if (const auto lans = plan_.lans.find(host_name); lans != plan_.lans.end()) config.lans = lans->second;
  host.start(process, identity,
             [&](sim::Process& at) { return std::make_unique<AgentProcess>(at, config, ca_of(cloud), again); });
}

void WorldRig::kill(const std::string& host, const std::string& process) {
  if (auto* found = world.host(host).find(process)) found->kill();
}

void WorldRig::power_off(const std::string& host, Nanos span) {
  world.host(host).power_off();
  dark_until_[host] = std::max(dark_until_[host], world.now() + span);
  world.at(dark_until_[host], [this, host] {
    for (const auto& [each, process] : processes_) {
      if (each == host) start(host, process);
    }
  });
}

template <class Wanted>
static Wanted* program_of(sim::World& world, const std::string& host, const std::string& process) {
  auto* found = world.host(host).find(process);
  return found ? dynamic_cast<Wanted*>(&found->program()) : nullptr;
}

const agent::Agent* WorldRig::agent(const std::string& host) {
  const auto* process = program_of<AgentProcess>(world, host, "agent");
  return process ? process->agent() : nullptr;
}

cloud::Cloud* WorldRig::cloud(const std::string& name) {
  auto* process = program_of<CloudProcess>(world, name, "cloud");
  return process ? &process->cloud() : nullptr;
}

const overlay::Switch* WorldRig::overlay(const std::string& host) {
  auto* process = program_of<SwitchProcess>(world, host, "switch");
  return process ? &process->core() : nullptr;
}

sky::Sky* WorldRig::sky() {
  auto* process = program_of<SkyProcess>(world, "home", "sky");
  return process ? &process->sky() : nullptr;
}

sim::Process* WorldRig::qemu(const std::string& host, const std::string& instance) {
  for (auto* each : world.host(host).processes()) {
    const auto* found = dynamic_cast<sim::Qemu*>(&each->program());
    if (found && found->instance() == instance) return each;
  }
  return nullptr;
}

// ---- the user

void WorldRig::add_accounts() {
  for (const auto& [name, disk] : clouds_) {
    auto* at = cloud(name);
    const auto made = at->accounts().put_tenant(kTenant, {}, false);
    const auto offered = at->images().put_image({kImage, kImageSha, kImageDirectory, "", ""});
    const auto token = at->accounts().issue_token(kTenant);
    GODWIT_ASSERT(made && offered && token);
    const wire::Account account{name, api_url_of(name), ca_of(name), *token};
    const auto put = call("PUT", "/v1/accounts/" + name, wire::encode(account));
    GODWIT_ASSERT(put.has_value());
  }
  const bool joined = world.run_until(
      [this] {
        return std::all_of(agent_hosts_.begin(), agent_hosts_.end(), [this](const std::string& host) {
          const auto hosts = cloud(cloud_of_[host])->hosts().list();
          return hosts && std::any_of(hosts->hosts.begin(), hosts->hosts.end(), [&](const wire::HostView& each) {
                   return each.name == host && each.alive && !each.images.empty();
                 });
        });
      },
      Seconds{20});
  GODWIT_ASSERT(joined);
}

Result<std::string> WorldRig::call(const std::string& method, const std::string& path, const std::string& body) {
  using Answer = std::shared_ptr<std::optional<Result<sys::HttpResponse>>>;
  const auto answer = std::make_shared<std::optional<Result<sys::HttpResponse>>>();
  auto talk = [](sim::Process* user, sys::HttpRequest request, Answer into) -> sys::Task<void> {
    const sys::HttpEndpoint to{kHomeIp, kSkyPort, sys::HttpTls::none, ""};
    *into = co_await user->runtime().http.call(to, std::move(request), kCallLimit);
  };
  sys::HttpRequest request;
  request.method = method;
  request.path = path;
  request.body = body;
  request.headers["authorization"] = std::string("Bearer ") + kSkyToken;
  auto& user = *world.host("home").find("user");
  user.spawn(talk(&user, std::move(request), answer));
  const bool told = world.run_until([&] { return answer->has_value(); }, 2 * kCallLimit);
  GODWIT_ASSERT(told);
  if (!**answer) return pass(**answer);
  if ((**answer)->status / 100 != 2) return std::unexpected(wire::error_of((**answer)->status, (**answer)->body));
  return (**answer)->body;
}

bool WorldRig::create_cluster(const std::vector<std::string>& clouds, const std::string& image) {
  return begin_cluster(clouds, image) &&
         world.run_until([&] { return sky() && view().state == wire::ClusterState::ready; }, Seconds{60});
}

bool WorldRig::begin_cluster(const std::vector<std::string>& clouds, const std::string& image) {
  wire::ClusterSpec spec;
  spec.name = kCluster;
  spec.image = image.empty() ? kImage : image;
  spec.type = "t3.pico";
  spec.clouds = {"cloud-a", "cloud-b"};
  for (const auto& cloud : clouds) {
    spec.members.push_back({fmt::format("n{}", spec.members.size() + 1), cloud, "", {}});
  }
  const auto made = ask<wire::ClusterView>("POST", "/v1/clusters", wire::encode(spec));
  if (!made) return false;
  for (const auto& member : made->members) instances_.push_back(member.instance);
  return true;
}

Result<wire::MigrationList> WorldRig::migrate(const std::string& to_cloud, const std::vector<std::string>& members) {
  wire::MoveRequest request;
  request.to_cloud = to_cloud;
  request.members = members;
  return ask<wire::MigrationList>("POST", "/v1/clusters/" + kCluster + "/migrate", wire::encode(request));
}

// ---- what is

wire::ClusterView WorldRig::view() {
  const auto* at = sky();
  const auto found = at ? at->cluster(kCluster) : Result<wire::ClusterView>(wire::ClusterView{});
  return found.value_or(wire::ClusterView{});
}

std::optional<wire::MigrationReport> WorldRig::report(const std::string& host, const std::string& migration) {
  const auto* at = agent(host);
  if (!at) return std::nullopt;
  for (auto& each : at->migrations()) {
    if (each.id == migration) return std::move(each);
  }
  return std::nullopt;
}

wire::MigrationPhase WorldRig::phase(const std::string& migration) {
  std::optional<wire::MigrationPhase> furthest;
  for (const auto& host : agent_hosts_) {
    if (const auto said = report(host, migration)) furthest = std::max(furthest.value_or(said->phase), said->phase);
  }
  if (furthest) return *furthest;
  const auto said = sky() ? sky()->migration(migration) : Result<wire::MigrationReport>(wire::MigrationReport{});
  return said ? said->phase : wire::MigrationPhase::ordered;
}

bool WorldRig::is_clean(const std::string& host, const std::string& instance) {
  auto& files = world.host(host).files();
  const std::string state = kAgentState;
  for (const auto* part : {"/instances", "/records"}) {
    const auto names = files.list(state + part);
    if (!names) return false;
    for (const auto& name : *names) {
      if (name.starts_with(instance)) return false;
    }
  }
  return !qemu(host, instance);
}

std::vector<migrate::Record> WorldRig::migrations_of(const std::string& host) {
  return migrate::Records(world.host(host).files(), kAgentState + std::string("/migrations"))
      .load()
      .value_or(std::vector<migrate::Record>{});
}

std::string WorldRig::where(const std::string& instance) {
  for (const auto& host : agent_hosts_) {
    if (guests.runs(instance, host)) return host;
  }
  return {};
}

bool WorldRig::settled_at_cloud(const wire::ClusterMember& member) {
  const auto* at = cloud(member.cloud);
  if (!at) return false;
  const auto seen = const_cast<cloud::Cloud*>(at)->instances().get({kTenant, {}, false}, member.instance);
  return seen && seen->state == wire::InstanceState::running && seen->host == member.host && seen->migration.empty();
}

bool WorldRig::settled() {
  for (const auto& [host, process] : processes_) {
    if (!world.host(host).find(process)) return false;
  }
  for (const auto& instance : instances_) {
    if (guests.running(instance) != 1) return false;
    for (const auto& host : agent_hosts_) {
      if (!guests.runs(instance, host) && !is_clean(host, instance)) return false;
    }
  }
  for (const auto& host : agent_hosts_) {
    const auto records = migrations_of(host);
    if (!agent(host) || !std::all_of(records.begin(), records.end(), [](const auto& each) { return each.forgotten; })) {
      return false;
    }
  }
  const auto seen = view();
  return seen.state == wire::ClusterState::ready && seen.members.size() == instances_.size() &&
         std::all_of(seen.members.begin(), seen.members.end(), [this](const wire::ClusterMember& member) {
           return member.migration.empty() && where(member.instance) == member.host && settled_at_cloud(member);
         });
}

bool WorldRig::all_gone() {
  return std::all_of(instances_.begin(), instances_.end(), [this](const std::string& instance) {
    return std::all_of(agent_hosts_.begin(), agent_hosts_.end(),
                       [&](const std::string& host) { return is_clean(host, instance); });
  });
}

std::string WorldRig::describe() {
  std::string text = guests.problem().empty() ? "" : guests.problem() + "; ";
  for (const auto& [host, process] : processes_) {
    if (!world.host(host).find(process)) text += fmt::format("{} of {} is down; ", process, host);
  }
  for (const auto& instance : instances_) text += fmt::format("{}: {} run; ", instance, guests.running(instance));
  for (const auto& host : agent_hosts_) {
    for (const auto* part : {"/instances", "/records", "/migrations"}) {
      const auto names = world.host(host).files().list(kAgentState + std::string(part));
      text += fmt::format("{}{}: {}; ", host, part, fmt::join(names.value_or(std::vector<std::string>{}), " "));
    }
    if (!agent(host)) continue;
    for (const auto& each : agent(host)->migrations()) text += host + " says " + wire::encode(each) + "; ";
  }
  return text + "sky says " + wire::encode(view());
}

}  // namespace godwit::simtest
