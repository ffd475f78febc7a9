#include "agent/agent.h"

#include "agent/metrics.h"
#include "base/page.h"
#include "content/read_back.h"
#include "image/volume.h"
#include "overlay/location_claim.h"

#include <algorithm>
#include <set>

namespace godwit::agent {
namespace {

constexpr Millis kPollWait{10'000};     // a long poll's; a change of ours cuts it short
constexpr Millis kChangeInterval{100};  // so many reports of changes at the most
constexpr Millis kFirstRetry{200};
constexpr Millis kLastRetry{5'000};

std::vector<sys::TrustedCa> trusted_of(const wire::DesiredState& desired) {
  std::vector<sys::TrustedCa> trusted;
  trusted.reserve(desired.trusted.size());
  for (const auto& each : desired.trusted) trusted.push_back({each.cloud, each.pem});
  return trusted;
}

siblings::Surroundings surroundings_of(const wire::DesiredState& desired) {
  siblings::Surroundings out;
  for (const auto& each : desired.siblings) {
    out.siblings.push_back({each.certificate_name, each.ip, each.port, each.key_sha256});
  }
  for (const auto& each : desired.content_keys) {
    siblings::TenantKey key{each.tenant, {}, each.held};
    const auto secret = from_hex(each.secret);
    if (!secret || secret->size() != key.key.size()) continue;
    std::copy(secret->begin(), secret->end(), key.key.begin());
    out.tenants.push_back(std::move(key));
  }
  return out;
}

// As the switch tells it; empty where there is no proof, or none that can be read.
std::string claim_of(const migrate::LocationProof& proof) {
  if (proof.record.empty()) return {};
  return overlay::claim_text(proof.record, proof.hand_offs).value_or(std::string());
}

// The leaves of the network that its cloud lets this host serve.
void add_leaves(const std::string& cloud, const std::string& host, wire::SwitchNetwork& out) {
  for (const auto& member : out.network.members) {
    const auto& at = member.location;
    if (member.wireguard_key.empty() || at.cloud != cloud || at.host != host) continue;
    out.ports.push_back({member.instance, member.mac, member.ip, "", at.version, at.claim, member.wireguard_key});
  }
}

}  // namespace

Agent::Agent(sys::Runtime runtime, AgentConfig config, HostFacts facts)
    : runtime_(std::move(runtime)),
      config_(std::move(config)),
      facts_(std::move(facts)),
      records_(runtime_.files, config_.state_directory),
      images_(
          runtime_, config_, [this] { changed(); }, [this](const std::string& sha256) { instances_.retry(sha256); }),
      context_{runtime_,
               records_,
               images_,
               hypervisor::QemuProgram{config_.qemu},
               image::DiskServerProgram{config_.godwit},
               config_.state_directory + "/instances",
               [this](const std::string& network) {
                 const auto* found = find_network(network);
                 return found ? found->mtu : wire::Network{}.mtu;
               },
               [this] { changed(); }},
      instances_(context_, config_.uid_base),
      switch_(runtime_, config_.switch_socket, [this] { changed(); }),
      cloud_(runtime_,
             sys::parse_endpoint(config_.cloud_url, "api." + config_.cloud + ".godwit").value_or(sys::HttpEndpoint{})),
      content_(runtime_.page_files, config_.state_directory + "/content",
               content::StoreLimits{.disk_bytes = std::uint64_t{config_.content_gib} << 30U},
               content::Store::Begin::kept),
      directory_(runtime_, content_, {config_.cloud, config_.host + "." + config_.cloud + ".godwit"},
                 [this] { changed(); }),
      volumes_([this](const std::string& sha256) { return open_volume(sha256); }),
      shrink_(runtime_, content_, volumes_, &directory_, "shrink", std::nullopt, memory_),
      exact_only_(runtime_, content_, volumes_, &directory_, "dedup", migrate::kExactOnly, memory_),
      migrations_(runtime_, migrate::Self{config_.cloud, config_.host, config_.cloud_url},
                  config_.state_directory + "/migrations", instances_, *this, *this, {&shrink_, &exact_only_},
                  [this] { changed(); }),
      snapshots_(context_, instances_, cloud_, config_.state_directory + "/snapshots",
                 [this](const std::string& instance) { return migrations_.standing(instance); }),
      scans_(runtime_, instances_, content_, volumes_, config_.scan_mib_s, [this] { return migrations_.under_way(); }),
      gate_(runtime_.executor),
      changed_(runtime_.executor) {}

Agent::~Agent() = default;

Result<> Agent::start() {
  const auto endpoint = sys::parse_endpoint(config_.cloud_url, "");
  if (!endpoint) return fail(endpoint, "cloud_url");
  for (const auto& made :
       {runtime_.files.make_directories(context_.instances_directory, 0711, 0), records_.prepare()}) {
    if (!made) return made;
  }
  auto records = records_.load();
  if (!records) return pass(records);
  const auto restored = migrations_.restore();
  if (!restored) return restored;
  auto listener = runtime_.peers.listen(config_.listen_ip, config_.migration_port);
  if (!listener) return fail(listener, "listen for migrations");
  config_.migration_port = (*listener)->port();
  auto for_siblings = runtime_.peers.listen(config_.listen_ip, config_.directory_port);
  if (!for_siblings) runtime_.log.warn("no part in the content directory: {}", for_siblings.error().message);
  config_.directory_port = for_siblings ? (*for_siblings)->port() : std::uint16_t{0};

  auto for_images = runtime_.peers.listen(config_.listen_ip, config_.image_port);
  if (!for_images) runtime_.log.warn("no part in bringing images: {}", for_images.error().message);
  config_.image_port = for_images ? (*for_images)->port() : std::uint16_t{0};
  const auto images_started = images_.start(for_images ? std::move(*for_images) : nullptr);
  if (!images_started) return images_started;
  const auto snapshots_started = snapshots_.start();
  if (!snapshots_started) return fail(snapshots_started, "snapshots");

  std::set<std::string> known;
  for (const auto& record : *records) known.insert(record.spec.id);
  images_.hold_only(known);
  instances_.restore(std::move(*records));
  desired_ = records_.load_desired();
  switch_.start();
  directory_.start(for_siblings ? std::move(*for_siblings) : nullptr);
  migrations_.start(std::move(*listener));
  if (!desired_.cloud.empty()) apply();
  gate_.spawn(converse());
  gate_.spawn(watch_changes());
  gate_.spawn(scans_.run());
  gate_.spawn(observations_.run());
  gate_.spawn(read_back());
  return {};
}

sys::Task<void> Agent::stop() {
  co_await gate_.close();
  co_await snapshots_.stop();
  co_await migrations_.stop();
  co_await directory_.stop();
  for (const auto& [id, gateway] : gateways_) co_await gateway->stop();
  for (const auto& gateway : ended_gateways_) {
    co_await gateway->stop();
    gateway->remove();
  }
  co_await switch_.stop();
  co_await instances_.stop();
  co_await images_.stop();
}

// What earlier agents of this host sent and received; without it everything works, and costs more.
sys::Task<void> Agent::read_back() {
  const auto pages = co_await content::read_back(runtime_.clock, content_);
  if (pages > 0) runtime_.log.info("{} MiB of content are held from before", pages * kPage_bytes >> 20U);
}

void Agent::changed() {
  dirty_ = true;
  changed_.notify();
}

// What changes here is applied here at once, whether the cloud can be reached or not.
sys::Task<void> Agent::watch_changes() {
  for (;;) {
    co_await changed_.wait();
    instances_.drop_gone();
    apply();
  }
}

// Asks and answers. A long poll that is under way when something changes is cut short, so that the cloud hears of it.
sys::Task<void> Agent::converse() {
  Millis retry = kFirstRetry;
  for (;;) {
    const auto done = co_await sync_once();
    if (done) {
      retry = kFirstRetry;
      co_await runtime_.clock.sleep_for(kChangeInterval);
      continue;
    }
    runtime_.log.warn("cloud {}: {}", config_.cloud, done.error().message);
    co_await runtime_.clock.sleep_for(retry);
    retry = std::min(retry * 2, kLastRetry);
  }
}

sys::Task<Result<>> Agent::sync_once() {
  auto said = report();
  const bool news = std::exchange(dirty_, false);
  said.wait_ms = news ? 0 : static_cast<std::uint32_t>(kPollWait.count());
  const auto phases = said.migrations;
  const auto boot_orders = said.boot_orders;
  const auto asked = runtime_.clock.now();

  Result<wire::DesiredState> answer = wire::DesiredState{};
  if (news) {
    answer = co_await cloud_.sync(std::move(said));
  } else {
    using namespace boost::asio::experimental::awaitable_operators;
    auto race = cloud_.sync(std::move(said)) || changed_.wait();
    auto outcome = co_await std::move(race);
    if (outcome.index() == 1) co_return Result<>{};
    answer = std::move(std::get<0>(outcome));
  }
  if (!answer) {
    dirty_ = dirty_ || news;
    co_return pass(answer);
  }
  for (const auto& each : phases) told_[each.id] = each.phase;
  images_.reported(boot_orders);
  take_leases(asked, *answer);
  if (answer->generation != desired_.generation || desired_.cloud.empty()) {
    desired_ = std::move(*answer);
    const auto saved = records_.save_desired(desired_);
    if (!saved) runtime_.log.error("{}", saved.error().message);
  }
  apply();
  co_return Result<>{};
}

void Agent::take_leases(TimePoint asked, const wire::DesiredState& answer) {
  const auto until = asked + Millis{wire::kLanLease_ms};
  std::vector<wire::SwitchLease> leases;
  leases.reserve(answer.lan_leases.size());
  for (const auto& each : answer.lan_leases) {
    leases.push_back(
        {each.network, each.version, std::chrono::duration_cast<Millis>(until.time_since_epoch()).count()});
  }
  switch_.lease(std::move(leases));
}

wire::LanReport Agent::report_of(const LanPort& lan) const {
  wire::LanReport out{lan.tenant, lan.network};
  for (const auto& network : desired_.networks) {
    if (network.tenant == lan.tenant && network.name == lan.network) out.lease = switch_.lan_lease_of(network.id);
  }
  return out;
}

std::string Agent::metrics() const { return agent_metrics(report()); }

wire::HostReport Agent::report() const {
  wire::HostReport report;
  report.host = config_.host;
  report.capacity = facts_.capacity;
  report.accelerator = facts_.capabilities.accelerator;
  report.qemu_version = facts_.capabilities.qemu_version;
  report.machine_types = facts_.capabilities.machine_types;
  report.cpu_models = facts_.capabilities.cpu_models;
  report.queue_pairs = wire::kMostQueuePairs;
  report.migration_point = {config_.cloud, config_.host, config_.listen_ip, config_.migration_port,
                            config_.host + "." + config_.cloud + ".godwit"};
  report.directory_port = config_.directory_port;
  report.content_of = directory_.tenants_held();
  report.overlay_ip = switch_.overlay_ip();
  report.overlay_port = switch_.overlay_port();
  report.overlay_key = switch_.overlay_key();
  for (const auto& lan : config_.lans) report.lans.push_back(report_of(lan));
  images_.report(report);
  for (const auto& [id, instance] : instances_.all()) {
    if (!instance->gone()) report.instances.push_back(instance->report());
  }
  report.migrations = migrations_.reports();
  report.unsettled = migrations_.unsettled();
  report.snapshots = snapshots_.reports();
  report.seen_generation = desired_.generation;
  return report;
}

void Agent::apply() {
  apply_listening();
  if (desired_.cloud.empty()) return;  // nothing was ever heard
  apply_trust();
  directory_.set(surroundings_of(desired_));
  apply_images();
  for (const auto& order : desired_.migrations) {
    auto* instance = instances_.find(order.instance);
    migrations_.order({order, instance ? instance->record().spec : wire::InstanceSpec{},
                       instance ? instance->record().location_version : 0});
  }
  apply_arrivals();
  apply_instances();
  snapshots_.set(desired_.snapshots);
  apply_networks();
  apply_gateways();
}

// The address inside the overlay is there when the switch has made it, and another one when its key is.
void Agent::apply_listening() {
  const auto& address = switch_.host_address();
  if (address.empty() || address == listens_at_) return;
  auto listener = runtime_.peers.listen(address, config_.migration_port);
  if (!listener) return runtime_.log.debug("listen for migrations by the overlay: {}", listener.error().message);
  listens_at_ = address;
  migrations_.listen_too(std::move(*listener));
}

void Agent::apply_trust() {
  const auto trusted = trusted_of(desired_);
  runtime_.peers.trust(trusted);
  runtime_.http.trust(trusted);
  migrations_.set_self({config_.cloud, config_.host, desired_.api_url.empty() ? config_.cloud_url : desired_.api_url});
}

// Once for each state: what it takes on and lets go of is on disk.
void Agent::apply_images() {
  if (images_applied_ == desired_.generation) return;
  images_applied_ = desired_.generation;
  images_.set(desired_);
}

void Agent::apply_arrivals() {
  for (const auto& arrival : migrations_.arrivals()) {
    if (auto* instance = instances_.find(arrival.spec.id))
      instance->set_arrived(arrival.location.version, claim_of(arrival.location));
  }
  for (const auto& report : migrations_.reports()) {
    const auto told = told_.find(report.id);
    if (!wire::is_final(report.phase) || told == told_.end() || told->second != report.phase) continue;
    migrations_.forget(report.id);
    told_.erase(told);
  }
}

void Agent::apply_instances() {
  for (const auto& wanted : desired_.instances) {
    auto* instance = instances_.find(wanted.spec.id);
    const auto standing = migrations_.standing(wanted.spec.id);
    // One that arrives is made by its migration, with the source's word on what it is.
    const bool ours_to_make = wanted.incoming_migration.empty() && standing == migrate::Standing::may_run &&
                              wanted.state != wire::DesiredInstanceState::absent;
    if (!instance && ours_to_make && !instances_.all().contains(wanted.spec.id)) {
      const auto created = instances_.create(wanted.spec, 1);
      if (!created) runtime_.log.error("{}", created.error().message);
      instance = created ? *created : nullptr;
    }
    if (!instance) continue;
    // Until a migration has made it ours, an arriving instance has no claim and is not to be started.
    const bool only_arrives = instance->record().location_version == 0;
    instance->set_desired(wanted.state, only_arrives ? migrate::Standing::must_not_run : standing);
  }
}

void Agent::apply_networks() {
  wire::SwitchConfig config;
  config.cloud = config_.cloud;
  config.host = config_.host;
  config.record = desired_.host_record;
  config.authorities = desired_.trusted;
  config.peers = migrations_.dialled();
  config.host_ports = {config_.migration_port};
  for (const auto& network : desired_.networks) {
    wire::SwitchNetwork part;
    part.network = network;
    part.gateway_namespace = fmt::format("{}{}", config_.namespace_prefix, network.vni);
    for (const auto& [id, instance] : instances_.all()) {
      const auto& spec = instance->record().spec;
      const auto& interface = spec.interface;
      if (instance->gone() || interface.network != network.id) continue;
      part.ports.push_back({id, interface.mac, interface.ip, tap_name_of(id), instance->claim(),
                            instance->record().claim, "", spec.queue_pairs});
    }
    add_leaves(config_.cloud, config_.host, part);
    for (const auto& lease : desired_.lan_leases) {
      if (lease.network == network.id) part.lan_lease = lease.version;
    }
    for (const auto& lan : config_.lans) {
      if (lan.tenant == network.tenant && lan.network == network.name) part.lan_device = lan.device;
    }
    config.networks.push_back(std::move(part));
  }
  switch_.configure(std::move(config));
}

void Agent::apply_gateways() {
  std::set<std::string> wanted;
  for (const auto& network : desired_.networks) {
    wanted.insert(network.id);
    auto& gateway = gateways_[network.id];
    const bool fresh = !gateway;
    if (fresh) {
      gateway = std::make_unique<Gateway>(runtime_, config_.state_directory + "/networks/" + network.id,
                                          fmt::format("{}{}", config_.namespace_prefix, network.vni), config_.dnsmasq,
                                          [this](const std::string& id) {
                                            if (auto* instance = instances_.find(id)) instance->set_ready();
                                          });
    }
    std::vector<Guest> guests;
    for (const auto& [id, instance] : instances_.all()) {
      if (instance->gone() || instance->record().spec.interface.network != network.id) continue;
      guests.push_back({instance->record().spec, config_.cloud, network.domain, network.cidr});
    }
    gateway->update(network, guests);
    if (fresh) gateway->start();
  }
  for (auto each = gateways_.begin(); each != gateways_.end();) {
    if (wanted.contains(each->first)) {
      ++each;
      continue;
    }
    gate_.spawn(end_gateway(ended_gateways_.insert(ended_gateways_.end(), std::move(each->second))));
    each = gateways_.erase(each);
  }
}

// Its own coroutines end before it does, also where the agent's end cuts this short.
sys::Task<void> Agent::end_gateway(std::list<std::unique_ptr<Gateway>>::iterator gateway) {
  co_await (*gateway)->stop();
  (*gateway)->remove();
  ended_gateways_.erase(gateway);
}

Result<std::unique_ptr<content::Blocks>> Agent::open_volume(const std::string& sha256) {
  const auto image = images_.find(sha256);
  if (!image) return pass(image);
  std::vector<image::VolumeFile> files{{image->disk_path, image->recipe.format}};
  for (const auto& path : {image->kernel_path, image->initrd_path}) {
    if (!path.empty()) files.push_back({path, "raw"});
  }
  return image::open_volume(runtime_.page_files, files, config_.state_directory + "/content");
}

const wire::Network* Agent::find_network(const std::string& id) const {
  const auto found = std::find_if(desired_.networks.begin(), desired_.networks.end(),
                                  [&](const wire::Network& network) { return network.id == id; });
  return found == desired_.networks.end() ? nullptr : &*found;
}

sys::Task<void> Agent::announce(wire::InstanceSpec spec, migrate::LocationProof proof) {
  wire::SwitchAnnounce news{spec.interface.network, spec.id, proof.version, claim_of(proof)};
  const auto reply = co_await switch_.announce(std::move(news));
  if (!reply) runtime_.log.warn("announce {}: {}", spec.id, reply.error().message);
  // From here on the configuration says it too.
  if (auto* instance = instances_.find(spec.id)) instance->set_claim(proof.version);
}

sys::Task<void> Agent::hold(wire::InstanceSpec spec, bool held) {
  wire::SwitchHold which{spec.interface.network, spec.id};
  const auto reply = co_await switch_.hold(std::move(which), held);
  if (!reply) runtime_.log.warn("{} frames for {}: {}", held ? "hold" : "release", spec.id, reply.error().message);
}

sys::Task<Result<wire::RedeemAnswer>> Agent::redeem(wire::RedeemRequest request) {
  return cloud_.redeem(std::move(request));
}

sys::Task<Result<wire::Decision>> Agent::release(std::string migration) { return cloud_.release(std::move(migration)); }

sys::Task<Result<wire::DecisionAnswer>> Agent::resolve(std::string cloud, std::string api_url, std::string migration) {
  return cloud_.resolve(std::move(api_url), std::move(cloud), std::move(migration));
}

}  // namespace godwit::agent
