#include "sim/world_processes.h"

#include "base/assert.h"
#include "sim/host.h"

#include <algorithm>

namespace godwit::simtest {
namespace {

constexpr std::uint16_t kApiPort = 7443;
constexpr std::uint16_t kImagePort = 7444;
constexpr const char* kDepot = "/cloud/images";
constexpr std::uint16_t kOverlayPort = 4790;
constexpr const char* kSkyState = "/sky";
constexpr const char* kSwitchState = "/switch";
constexpr wire::HostCapacity kCapacity{4, 4096, 100};

}  // namespace

CloudDisk::CloudDisk(const std::string& name, const std::string& api_url, const WorldAuthority& authority,
                     sys::Random& random)
    : database(cloud::Database::open(":memory:").value()),
      keys{crypto::Key::from_pem(authority.key_pem).value(), authority.pem, crypto::TicketSigner::generate(random)} {
  cloud::Settings settings;
  settings.name = name;
  settings.api_url = api_url;
  const auto saved = cloud::save_settings(*database, settings);
  GODWIT_ASSERT(saved.has_value());
}

CloudProcess::CloudProcess(sim::Process& process, CloudDisk& disk) {
  auto& runtime = process.runtime();
  auto opened = cloud::Cloud::open(
      {runtime.executor, runtime.clock, runtime.random, runtime.http, *disk.database, disk.keys, runtime.log});
  GODWIT_ASSERT(opened.has_value());
  cloud_ = std::move(*opened);
  depot_ = std::make_unique<cloud::Depot>(runtime, cloud_->core(), cloud_->images(), cloud_->snapshots(), kDepot);
  const auto taken_up = depot_->open();
  GODWIT_ASSERT(taken_up.has_value());
  auto for_images = runtime.peers.listen(process.host().ip(), kImagePort);
  GODWIT_ASSERT(for_images.has_value());
  depot_->start(std::move(*for_images), process.host().ip());
  routes_ = std::make_unique<api::CloudRoutes>(*cloud_, depot_.get());
  sys::HttpListen where;
  where.host = process.host().ip();
  where.port = kApiPort;
  auto server = runtime.http.serve(where, routes_->handler());
  GODWIT_ASSERT(server.has_value());
  server_ = std::move(*server);
  cloud_->start();
}

SkyProcess::SkyProcess(sim::Process& process) {
  auto& runtime = process.runtime();
  auto opened = sky::Sky::open(runtime, {kSkyState, {}});
  GODWIT_ASSERT(opened.has_value());
  sky_ = std::move(*opened);
  routes_ = std::make_unique<api::SkyRoutes>(runtime.clock, *sky_, kSkyToken);
  sys::HttpListen where;
  where.host = process.host().ip();
  where.port = kSkyPort;
  where.tls = sys::HttpTls::none;
  auto server = runtime.http.serve(where, routes_->handler());
  GODWIT_ASSERT(server.has_value());
  server_ = std::move(*server);
  sky_->start();
}

SwitchProcess::SwitchProcess(sim::Process& process, const std::function<void()>& ended) : links_(process) {
  auto& runtime = process.runtime();
  auto packets = sim::SimPacketIo::open(process, kOverlayPort);
  GODWIT_ASSERT(packets.has_value());
  packets_ = std::move(*packets);
  Result<> started = runtime.files.make_directories(kSwitchState, 0700, 0);
  const auto saved = overlay::load_state(runtime.files, kSwitchState);
  auto key = overlay::load_or_make_key(runtime.files, runtime.random, std::string(kSwitchState) + "/switch.key");
  GODWIT_ASSERT(key.has_value());
  sessions_ = std::make_unique<overlay::OwnSessions>(std::move(*key), runtime.random, runtime.clock);
  service_ = std::make_unique<overlay::Service>(
      overlay::ServiceParts{runtime.executor, runtime.clock, runtime.random, runtime.files, runtime.local, *packets_,
                            links_, sessions_->seal(), runtime.log},
      kSwitchState);
  if (!saved) started = pass(saved);
  if (started) started = service_->start(std::string(kSwitchState) + "/switch.sock", *saved);
  if (started) return;
  runtime.log.error("{}", started.error().message);
  process.kill();
  ended();
}

AgentProcess::AgentProcess(sim::Process& process, agent::AgentConfig config, std::string ca_pem,
                           std::function<void()> ended)
    : process_(process), ended_(std::move(ended)) {
  auto& runtime = process.runtime();
  const std::vector<sys::TrustedCa> trusted{{config.cloud, std::move(ca_pem)}};
  runtime.http.trust(trusted);
  runtime.peers.trust(trusted);
  config.listen_ip = process.host().ip();
  config.state_directory = kAgentState;
  config.switch_socket = std::string(kSwitchState) + "/switch.sock";
  process.spawn(serve(std::move(config)));
}

sys::Task<void> AgentProcess::serve(agent::AgentConfig config) {
  auto& runtime = process_.runtime();
  agent::HostFacts facts;
  facts.capacity = kCapacity;
  const hypervisor::QemuProgram qemu{config.qemu};
  const std::string state = kAgentState;
  auto capabilities = co_await hypervisor::probe_capabilities(runtime, qemu, state + "/probe", config.uid_base,
                                                              state + "/capabilities.json");
  Result<> started;
  if (capabilities) {
    facts.capabilities = std::move(*capabilities);
    agent_ = std::make_unique<agent::Agent>(runtime, std::move(config), std::move(facts));
    started = agent_->start();
  } else {
    started = pass(capabilities);
  }
  if (started) co_return;
  runtime.log.error("{}", started.error().message);
  process_.kill();
  ended_();
}

DiskServerProcess::DiskServerProcess(sim::Process& process, const sys::ProcessSpec& spec) {
  const auto after = [&](const std::string& word) {
    const auto found = std::ranges::find(spec.argv, word);
    return spec.argv.end() - found > 1 ? *std::next(found) : std::string();
  };
  image::DiskServerOptions options{after("--file"), after("--socket"), after("--desk")};
  server_ = std::make_unique<image::DiskServer>(process.runtime(), std::move(options));
  const auto started = server_->start();
  if (!started) {
    process.runtime().log.error("{}", started.error().message);
    process.kill();
    return;
  }
  auto ends = [](sim::Process* at, image::DiskServer* server) -> sys::Task<void> {
    co_await server->wait_lonely();
    at->kill();
  };
  process.spawn(ends(&process, server_.get()));
}

void install_disk_server(sim::Host& host) {
  host.register_program("godwit", [](sim::Process& process, const sys::ProcessSpec& spec) {
    return std::make_unique<DiskServerProcess>(process, spec);
  });
}

}  // namespace godwit::simtest
