// `godwit agent join` makes a host a member of a cloud; `godwit agent run` is the host's agent.
#include "agent/agent.h"
#include "apps/command.h"
#include "apps/image_send_option.h"
#include "apps/metrics_server.h"
#include "base/id.h"
#include "crypto/identity.h"
#include "os/system.h"
#include "wire/invitation.h"

#include <sys/sysinfo.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <thread>

namespace godwit::apps {
namespace {

constexpr std::size_t kFileLimit = 1024UL * 1024;
constexpr Seconds kJoinLimit{30};
constexpr Seconds kJoinPatience{60};  // for a cloud that is coming up
constexpr Millis kJoinRetry{250};

struct JoinOptions {
  std::string state;
  std::string invitation;
  agent::AgentConfig config;
};

struct RunOptions {
  std::string state;
  std::vector<std::string> lans;
  std::string metrics;
  std::string log{"info"};
};

std::string config_path(const std::string& state) { return state + "/agent.json"; }
std::string key_path(const std::string& state) { return state + "/host.key"; }
std::string certificate_path(const std::string& state) { return state + "/host.pem"; }
std::string ca_path(const std::string& state) { return state + "/ca.pem"; }

int failed(const Error& error) {
  std::cerr << "godwit agent: " << error.message << "\n";
  return 1;
}

// A join that is asked for again with the same key is answered again, so trying is safe.
sys::Task<Result<sys::HttpResponse>> ask_to_join(sys::Runtime runtime, sys::HttpEndpoint cloud, std::string token,
                                                 wire::JoinRequest wish) {
  const auto deadline = runtime.clock.now() + kJoinPatience;
  for (;;) {
    sys::HttpRequest request;
    request.method = "POST";
    request.path = "/v1/join";
    request.headers["authorization"] = "Bearer " + token;
    request.body = wire::encode(wish);
    auto response = co_await runtime.http.call(cloud, std::move(request), kJoinLimit);
    const bool coming_up = !response && response.error().code == Errc::unavailable;
    if (!coming_up || runtime.clock.now() > deadline) co_return std::move(response);
    co_await runtime.clock.sleep_for(kJoinRetry);
  }
}

// Key first, and the certificate last: a host that was interrupted joins again with a new invitation.
sys::Task<Result<>> join(os::System& system, JoinOptions options) {
  auto runtime = system.runtime();
  const auto text = runtime.files.read(options.invitation, kFileLimit);
  if (!text) co_return fail(text, "invitation");
  const auto invitation = wire::decode<wire::Invitation>(*text);
  if (!invitation) co_return fail(invitation, "invitation " + options.invitation);
  const bool has_own_url = !options.config.cloud_url.empty();
  const auto url = has_own_url ? options.config.cloud_url : invitation->url;
  const auto endpoint = sys::parse_endpoint(url, "api." + invitation->cloud + ".godwit");
  if (!endpoint) co_return fail(endpoint, has_own_url ? "--cloud-url" : "invitation " + options.invitation);

  const auto made = runtime.files.make_directories(options.state, 0711, 0);
  if (!made) co_return made;
  const auto key = crypto::Key::generate();
  if (!key) co_return pass(key);
  const auto name = invitation->host + "." + invitation->cloud + ".godwit";
  const auto request_pem = crypto::make_request(*key, name);
  if (!request_pem) co_return pass(request_pem);

  std::vector<sys::TrustedCa> trusted(1);
  trusted[0].cloud = invitation->cloud;
  trusted[0].pem = invitation->ca_pem;
  runtime.http.trust(trusted);
  wire::JoinRequest wish;
  wish.host = invitation->host;
  wish.csr_pem = *request_pem;
  auto asking = ask_to_join(runtime, *endpoint, invitation->token, std::move(wish));
  const auto response = co_await std::move(asking);
  if (!response) co_return fail(response, "join " + invitation->cloud);
  if (response->status / 100 != 2) {
    co_return std::unexpected(wire::error_of(response->status, response->body).within("join " + invitation->cloud));
  }
  const auto answer = wire::decode<wire::JoinAnswer>(response->body);
  if (!answer) co_return fail(answer, "join " + invitation->cloud);

  auto config = std::move(options.config);
  config.cloud = invitation->cloud;
  config.host = invitation->host;
  config.cloud_url = url;
  config.state_directory = options.state;
  if (config.switch_socket.empty()) config.switch_socket = options.state + "/switch.sock";
  const auto saved_key = runtime.files.write_atomic(key_path(options.state), key->to_pem(), 0600);
  if (!saved_key) co_return saved_key;
  const auto saved_ca = runtime.files.write_atomic(ca_path(options.state), answer->ca_pem, 0644);
  if (!saved_ca) co_return saved_ca;
  const auto saved_config =
      runtime.files.write_atomic(config_path(options.state), wire::print_json_pretty(wire::to_json(config)), 0600);
  if (!saved_config) co_return saved_config;
  co_return runtime.files.write_atomic(certificate_path(options.state), answer->certificate_pem, 0644);
}

// What may be given to instances, where the configuration does not say.
wire::HostCapacity capacity_of(const agent::AgentConfig& config) {
  constexpr std::uint32_t kOwnMemoryMib = 1024;
  struct sysinfo machine{};
  (void)::sysinfo(&machine);
  const auto memory_mib = static_cast<std::uint32_t>((machine.totalram * machine.mem_unit) >> 20U);
  std::error_code ignored;
  const auto space = std::filesystem::space(config.state_directory, ignored);
  wire::HostCapacity capacity;
  capacity.vcpus = config.vcpus ? config.vcpus : std::max(1U, std::thread::hardware_concurrency());
  capacity.memory_mib = config.memory_mib ? config.memory_mib : memory_mib - std::min(memory_mib / 2, kOwnMemoryMib);
  capacity.disk_gib = config.disk_gib ? config.disk_gib : static_cast<std::uint32_t>(space.available >> 30U);
  return capacity;
}

// "alice/demo=eth1".
Result<agent::LanPort> parse_lan(const std::string& text) {
  const auto slash = text.find('/');
  const auto equals = text.find('=', slash == text.npos ? 0 : slash);
  if (slash == text.npos || equals == text.npos) {
    return fail(Errc::invalid_argument, "--lan \"{}\": must be TENANT/NETWORK=DEVICE, like alice/demo=eth1", text);
  }
  agent::LanPort out{text.substr(0, slash), text.substr(slash + 1, equals - slash - 1), text.substr(equals + 1)};
  if (out.tenant.empty() || out.tenant.size() > 64 || !is_label(out.network) || out.device.empty() ||
      out.device.size() > 15) {
    return fail(Errc::invalid_argument, "--lan \"{}\": tenant, network (a DNS label) and device (1 to 15 characters)",
                text);
  }
  return out;
}

Result<std::vector<agent::LanPort>> parse_lans(const std::vector<std::string>& texts) {
  std::vector<agent::LanPort> out;
  for (const auto& text : texts) {
    auto port = parse_lan(text);
    if (!port) return pass(port);
    out.push_back(std::move(*port));
  }
  return out;
}

sys::Task<Result<>> serve(os::System& system, std::string state, std::vector<agent::LanPort> lans,
                          std::string metrics_at) {
  auto runtime = system.runtime();
  const auto text = runtime.files.read(config_path(state), kFileLimit);
  if (!text) co_return fail(text, "this host has not joined a cloud (godwit agent join)");
  auto config = wire::decode<agent::AgentConfig>(*text);
  if (!config) co_return fail(config, config_path(state));
  config->lans = std::move(lans);
  std::error_code unknown;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (!unknown) config->godwit = self.string();
  os::TlsIdentity identity;
  std::vector<sys::TrustedCa> trusted(1);
  trusted[0].cloud = config->cloud;
  for (const auto& [path, into] :
       {std::pair{certificate_path(state), &identity.certificate_pem}, std::pair{key_path(state), &identity.key_pem},
        std::pair{ca_path(state), &trusted[0].pem}}) {
    auto pem = runtime.files.read(path, kFileLimit);
    if (!pem) co_return fail(pem, "join again (godwit agent join)");
    *into = std::move(*pem);
  }
  const auto usable = system.use_identity(identity);
  if (!usable) co_return usable;
  runtime.http.trust(trusted);
  runtime.peers.trust(trusted);

  agent::HostFacts facts;
  facts.capacity = capacity_of(*config);
  const hypervisor::QemuProgram qemu{config->qemu};
  auto capabilities = co_await hypervisor::probe_capabilities(runtime, qemu, state + "/probe", config->uid_base,
                                                              state + "/capabilities.json");
  if (!capabilities) co_return pass(capabilities);
  facts.capabilities = std::move(*capabilities);
  runtime.log.info("host {} of {}: {}, {} vCPUs, {} MiB", config->host, config->cloud, facts.capabilities.accelerator,
                   facts.capacity.vcpus, facts.capacity.memory_mib);

  agent::Agent agent(runtime, std::move(*config), std::move(facts));
  auto started = agent.start();
  auto metrics = serve_metrics(runtime.http, metrics_at, [&agent] { return agent.metrics(); });
  if (started && !metrics) started = pass(metrics);
  if (started) {
    co_await system.stop_requested();
    runtime.log.info("stops; its instances go on");
  }
  if (metrics) metrics->reset();
  co_await agent.stop();
  co_return started;
}

int run_join(const JoinOptions& options) {
  os::System system({.log_level = LogLevel::warn, .component = "agent"});
  return system.run([&](os::System& on) -> sys::Task<int> {
    auto wish = options;
    const auto joined = co_await join(on, std::move(wish));
    if (!joined) co_return failed(joined.error());
    co_return 0;
  });
}

int run_agent(const RunOptions& options) {
  const auto level = os::parse_log_level(options.log);
  if (!level) return failed(level.error());
  const auto lans = parse_lans(options.lans);
  if (!lans) return failed(lans.error());
  os::System system({.log_level = *level, .component = "agent"});
  return system.run([&](os::System& on) -> sys::Task<int> {
    auto state = options.state;
    auto ports = *lans;
    auto metrics = options.metrics;
    const auto served = co_await serve(on, std::move(state), std::move(ports), std::move(metrics));
    if (!served) co_return failed(served.error());
    co_return 0;
  });
}

void add_join(CLI::App& agent, int& exit_code) {
  auto options = std::make_shared<JoinOptions>();
  auto* join = agent.add_subcommand("join", "Make this host a member of a cloud");
  join->add_option("--state", options->state, "Directory for this host's keys, records and instances (absolute)")
      ->required();
  join->add_option("--invitation", options->invitation, "The file that `godwit cloud invite` made for this host")
      ->required();
  join->add_option("--listen", options->config.listen_ip, "Address at which other hosts reach this one")->required();
  join->add_option("--cloud-url", options->config.cloud_url,
                   "Where this host reaches its cloud's API, if not as others do: inside its NAT (the invitation's)");
  join->add_option("--port", options->config.migration_port, "TCP port for migrations")->capture_default_str();
  join->add_option("--directory-port", options->config.directory_port, "TCP port for the other hosts of the cloud")
      ->capture_default_str();
  join->add_option("--switch", options->config.switch_socket, "Control socket of `godwit switch` (STATE/switch.sock)");
  join->add_option("--uid-base", options->config.uid_base, "First of 4096 uids for instances")->capture_default_str();
  join->add_option("--namespace-prefix", options->config.namespace_prefix, "For the networks' namespaces")
      ->capture_default_str();
  join->add_option("--vcpus", options->config.vcpus, "vCPUs to give to instances (as many as there are cores)");
  join->add_option("--memory-mib", options->config.memory_mib, "Memory to give to instances (all but 1 GiB)");
  join->add_option("--disk-gib", options->config.disk_gib, "Disk to give to instances (what is free)");
  join->add_option("--content-gib", options->config.content_gib,
                   "Disk for pages that crossed, which later migrations refer to (4)");
  join->add_option("--image-fill-kib-s", options->config.image_fill_kib_s,
                   "KiB/s of an image's rest while an instance boots of what is here (0: as much as can come)");
  add_image_send_option(*join, options->config.image_send_kib_s, "the cloud's other hosts");
  join->add_option("--scan-mib-s", options->config.scan_mib_s,
                   "MiB/s of guests' memory to look through for what others need not send (16; 0: none)");
  join->footer(
      "Example:\n  godwit agent join --state /var/lib/godwit --invitation h1.invitation --listen 192.0.2.11\n"
      "The invitation holds a secret that is good once: carry it as you would a key, and delete it afterwards.");
  join->callback([options, &exit_code] { exit_code = run_join(*options); });
}

void add_run(CLI::App& agent, int& exit_code) {
  auto options = std::make_shared<RunOptions>();
  auto* run = agent.add_subcommand("run", "The agent: runs instances as the cloud desires, until it is told to stop");
  run->add_option("--state", options->state, "As given to `godwit agent join`")->required();
  run->add_option("--lan", options->lans,
                  "TENANT/NETWORK=DEVICE: joins that network to the LAN that DEVICE is on; may be repeated")
      ->allow_extra_args(false);
  run->add_option("--metrics", options->metrics, kMetricsHelp);
  run->add_option("--log", options->log, "debug, info, warn or error")->capture_default_str();
  run->footer("It may be stopped and started at any time: its instances go on, and the next agent takes them up.");
  run->callback([options, &exit_code] { exit_code = run_agent(*options); });
}

}  // namespace

void add_agent_command(CLI::App& app, int& exit_code) {
  auto* agent = app.add_subcommand("agent", "On each host: QEMU's life, migrations, DHCP, DNS and metadata for guests");
  agent->require_subcommand(1);
  add_join(*agent, exit_code);
  add_run(*agent, exit_code);
}

}  // namespace godwit::apps
