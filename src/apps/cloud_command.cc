// godwit cloud …: one cloud's server, and what its operator does beside it. All but `run` work on the database
// directly, whether the server runs or not.
#include "api/cloud_routes.h"
#include "apps/cloud_status.h"
#include "apps/command.h"
#include "apps/image_send_option.h"
#include "apps/metrics_server.h"
#include "base/id.h"
#include "cloud/cloud.h"
#include "cloud/directory.h"
#include "cloud/metrics.h"
#include "os/system.h"
#include "wire/invitation.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

namespace godwit::apps {
namespace {

struct CloudOptions {
  std::string directory;
  cloud::Settings settings;
  std::string listen;
  std::string metrics;
  std::string log{"info"};
  std::uint32_t image_send_kib_s{0};
  std::string host;
  std::uint32_t valid_s{3600};
  std::string tenant;
  std::optional<std::uint32_t> instances;  // of the quota; what is not said stays as it was
  std::optional<std::uint32_t> vcpus;
  std::optional<std::uint32_t> memory_mib;
  std::optional<std::uint32_t> images;
  std::optional<std::uint32_t> image_mib;
  bool is_operator{false};
  bool revoke{false};
  std::string image;
  std::string path;
  std::string sha256;
  bool json{false};
};

// What a command other than `init` works with, built and gone within it.
struct Workplace {
  explicit Workplace(const CloudOptions& options, LogLevel level)
      : system({level, "cloud"}), opened(cloud::open_directory(system.runtime().files, options.directory)) {}

  Result<std::unique_ptr<cloud::Cloud>> open() {
    if (!opened) return pass(opened);
    auto runtime = system.runtime();
    return cloud::Cloud::open(
        {runtime.executor, runtime.clock, runtime.random, runtime.http, *opened->database, opened->keys, runtime.log});
  }

  os::System system;
  Result<cloud::Opened> opened;
};

// ---- init

Result<> init(const CloudOptions& options) {
  os::System system({LogLevel::warn, "cloud"});
  auto runtime = system.runtime();
  const auto made =
      cloud::create_directory(runtime.files, runtime.random, runtime.clock, options.directory, options.settings);
  if (!made) return made;
  std::cout << fmt::format(
      "Cloud {} is in {}. Its CA, which its users and hosts need: {}/ca.pem\n"
      "Next:  godwit cloud run {} --listen ADDRESS:PORT\n"
      "       godwit cloud add-image {} NAME PATH\n"
      "       godwit cloud invite {} HOST > HOST.invitation      (once a host)\n"
      "       godwit cloud add-user {} TENANT\n",
      options.settings.name, options.directory, options.directory, options.directory, options.directory,
      options.directory, options.directory);
  return {};
}

// ---- run

Result<sys::HttpListen> parse_listen(const std::string& text) {
  const auto colon = text.rfind(':');
  sys::HttpListen listen;
  if (colon != std::string::npos) {
    listen.host = text.substr(0, colon);
    const auto* end = text.data() + text.size();
    const auto [read, error] = std::from_chars(text.data() + colon + 1, end, listen.port);
    if (error != std::errc{} || read != end) listen.host.clear();
  }
  if (listen.host.starts_with('[') && listen.host.ends_with(']')) {
    listen.host = listen.host.substr(1, listen.host.size() - 2);
  }
  if (listen.host.empty()) return fail(Errc::invalid_argument, "--listen {}: must be ADDRESS:PORT", text);
  listen.tls = sys::HttpTls::server;
  return listen;
}

// Where hosts take images from: behind the API's port, so that it is known to firewalls; any where that is any.
Result<std::unique_ptr<sys::PeerListener>> listen_for_images(sys::PeerNetwork& peers, const sys::HttpListen& api) {
  auto listener = peers.listen(api.host, api.port == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(api.port + 1));
  if (!listener) return fail(listener, "listen for hosts that take images");
  return listener;
}

sys::Task<int> serve(os::System* system, cloud::Cloud* cloud, cloud::Depot* depot, api::CloudRoutes* routes,
                     sys::HttpListen listen, std::string metrics_at) {
  auto runtime = system->runtime();
  {
    auto for_images = listen_for_images(runtime.peers, listen);
    if (!for_images) {
      runtime.log.error("{}", for_images.error().message);
      co_return 1;
    }
    depot->start(std::move(*for_images), listen.host);
    const auto server = runtime.http.serve(listen, routes->handler());
    if (!server) {
      runtime.log.error("{}", server.error().message);
      co_return 1;
    }
    const auto metrics = serve_metrics(runtime.http, metrics_at, [cloud] {
      const auto status = cloud::look(*cloud);
      return status ? cloud::cloud_metrics(*status) : std::string();
    });
    if (!metrics) {
      runtime.log.error("{}", metrics.error().message);
      co_return 1;
    }
    cloud->start();
    runtime.log.info("{} serves {} on {} port {}", cloud->core().name(), cloud->core().settings().api_url, listen.host,
                     (*server)->port());
    co_await system->stop_requested();
  }
  co_await cloud->stop();
  co_await depot->stop();
  // The requests that waited were cancelled with the server, and unwind before their cloud goes.
  co_await runtime.clock.sleep_for(Millis{1});
  co_return 0;
}

Result<> run(const CloudOptions& options) {
  const auto level = os::parse_log_level(options.log);
  if (!level) return pass(level);
  const auto listen = parse_listen(options.listen);
  if (!listen) return pass(listen);
  Workplace place(options, *level);
  auto cloud = place.open();
  if (!cloud) return pass(cloud);
  auto runtime = place.system.runtime();
  const auto identity =
      cloud::issue_api_identity(place.opened->keys, (*cloud)->core().name(), runtime.clock, runtime.random);
  if (!identity) return pass(identity);
  const auto used = place.system.use_identity({identity->certificate_pem, identity->key_pem});
  if (!used) return used;
  cloud::Depot depot(runtime, (*cloud)->core(), (*cloud)->images(), (*cloud)->snapshots(),
                     options.directory + "/images");
  depot.limit(std::uint64_t{options.image_send_kib_s} << 10U);
  const auto opened = depot.open();
  if (!opened) return opened;
  api::CloudRoutes routes(**cloud, &depot);
  const auto ended = place.system.run(
      [&](os::System& system) { return serve(&system, cloud->get(), &depot, &routes, *listen, options.metrics); });
  if (ended != 0) return fail(Errc::io, "it could not serve (see above)");
  return {};
}

// ---- beside it

// The whole invitation is one file, so that a host believes nothing that its operator has not carried to it.
Result<> invite(cloud::Cloud& cloud, const CloudOptions& options) {
  auto token = cloud.accounts().issue_join_token({options.host, options.valid_s});
  if (!token) return pass(token);
  const auto& core = cloud.core();
  const wire::Invitation invitation{core.name(), core.settings().api_url, core.keys().authority_pem, options.host,
                                    std::move(token->token)};
  std::cout << wire::print_json_pretty(wire::to_json(invitation));
  std::cerr << fmt::format("Good once, for host {}, within {} s: godwit agent join --invitation FILE there.\n",
                           options.host, options.valid_s);
  return {};
}

Result<> add_user(cloud::Cloud& cloud, const CloudOptions& options) {
  auto& accounts = cloud.accounts();
  auto tenant = accounts.find_tenant(options.tenant).value_or(cloud::User{});
  tenant.quota.instances = options.instances.value_or(tenant.quota.instances);
  tenant.quota.vcpus = options.vcpus.value_or(tenant.quota.vcpus);
  tenant.quota.memory_mib = options.memory_mib.value_or(tenant.quota.memory_mib);
  tenant.quota.images = options.images.value_or(tenant.quota.images);
  tenant.quota.image_mib = options.image_mib.value_or(tenant.quota.image_mib);
  const auto made = accounts.put_tenant(options.tenant, tenant.quota, tenant.is_operator || options.is_operator);
  if (!made) return made;
  if (options.revoke) {
    const auto revoked = accounts.revoke_tokens(options.tenant);
    if (!revoked) return revoked;
  }
  const auto token = accounts.issue_token(options.tenant);
  if (!token) return pass(token);
  std::cout << *token << "\n";
  std::cerr << fmt::format("The bearer token of {}: shown this once, stored nowhere.\n", options.tenant);
  return {};
}

struct ManifestDigest {
  std::string sha256;
};
BOOST_DESCRIBE_STRUCT(ManifestDigest, (), (sha256))

Result<> add_image(cloud::Cloud& cloud, const CloudOptions& options) {
  const auto path = std::filesystem::absolute(options.path).lexically_normal().string();
  auto sha256 = options.sha256;
  if (sha256.empty()) {
    os::SystemFiles files;
    const auto text = files.read(path + "/manifest.json", 64UL * 1024);
    if (!text) return fail(text, "add-image (or say --sha256, where the image is on the hosts alone)");
    const auto manifest = wire::decode<ManifestDigest>(*text);
    if (!manifest) return fail(manifest, path + "/manifest.json");
    sha256 = manifest->sha256;
  }
  return cloud.images().put_image({options.image, sha256, path, "", ""});
}

Result<> status(cloud::Cloud& cloud, const CloudOptions& options) {
  const auto seen = cloud::look(cloud);
  if (!seen) return pass(seen);
  std::cout << (options.json ? wire::print_json_pretty(wire::to_json(*seen)) : to_text(*seen));
  return {};
}

using Job = Result<> (*)(cloud::Cloud&, const CloudOptions&);

template <Job job>
Result<> beside(const CloudOptions& options) {
  Workplace place(options, LogLevel::warn);
  const auto cloud = place.open();
  if (!cloud) return pass(cloud);
  return job(**cloud, options);
}

// ---- the command line

class Builder {
 public:
  Builder(CLI::App& parent, int& exit_code) : parent_(parent), exit_code_(exit_code) {}

  CLI::App* add(const std::string& name, const std::string& help, Result<> (*job)(const CloudOptions&)) {
    auto* command = parent_.add_subcommand(name, help);
    command->add_option("DIR", options_->directory, "the cloud's directory")->required();
    command->callback([options = options_, job, name, &exit_code = exit_code_] {
      options->directory = std::filesystem::absolute(options->directory).lexically_normal();
      const auto done = job(*options);
      if (done) return;
      std::cerr << "godwit cloud " << name << ": " << done.error().message << "\n";
      exit_code = done.error().code == Errc::invalid_argument ? 2 : 1;
    });
    return command;
  }
  [[nodiscard]] CloudOptions& options() { return *options_; }

 private:
  CLI::App& parent_;
  int& exit_code_;
  std::shared_ptr<CloudOptions> options_{std::make_shared<CloudOptions>()};  // lives with the callbacks
};

}  // namespace

void add_cloud_command(CLI::App& app, int& exit_code) {
  auto* parent = app.add_subcommand("cloud", "One cloud: its API, its state, its CA");
  parent->require_subcommand(1);
  Builder builder(*parent, exit_code);
  auto& options = builder.options();

  auto* command = builder.add("init", "Make a cloud: its CA and its database", init);
  command->add_option("--name", options.settings.name, "its name, a DNS label")->required();
  command->add_option("--url", options.settings.api_url, "https://ADDRESS:PORT as hosts of all clouds reach it")
      ->required();
  command->add_option("--cpu-model", options.settings.cpu_model, "of new instances")->capture_default_str();
  command->add_option("--vcpus-per-cpu", options.settings.vcpus_per_cpu, "overcommitment")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));

  command = builder.add("run", "Serve the cloud's API", run);
  command->add_option("--listen", options.listen, "ADDRESS:PORT")->required();
  add_image_send_option(*command, options.image_send_kib_s, "hosts");
  command->add_option("--metrics", options.metrics, kMetricsHelp);
  command->add_option("--log", options.log, "debug, info, warn or error")->capture_default_str();

  command = builder.add("invite", "Print an invitation with which a host may join, once", beside<invite>);
  command->add_option("HOST", options.host, "its name, a DNS label")->required();
  command->add_option("--valid", options.valid_s, "seconds")->capture_default_str();
  command->footer(
      "Example:\n  godwit cloud invite /var/lib/godwit-cloud h1 > h1.invitation\n"
      "It holds a secret: carry it to the host as you would a key.");

  command = builder.add("add-user", "Make a tenant, or change its quota, and print a bearer token", beside<add_user>);
  command->add_option("TENANT", options.tenant, "its name, a DNS label; the same on every cloud")->required();
  command->add_option("--instances", options.instances, "quota; 20 at first");
  command->add_option("--vcpus", options.vcpus, "quota; 40 at first");
  command->add_option("--memory-mib", options.memory_mib, "quota; 65536 at first");
  command->add_option("--images", options.images, "quota of images of its own; 1000 at first");
  command->add_option("--image-mib", options.image_mib, "quota of what they take of DIR/images; 1048576 at first");
  command->add_flag("--operator", options.is_operator, "may make join tokens over the API");
  command->add_flag("--revoke", options.revoke, "its tokens of before open nothing any more");

  command = builder.add("add-image", "Offer an image that is on the hosts", beside<add_image>);
  command->add_option("NAME", options.image, "as users call it")->required();
  command->add_option("PATH", options.path, "its directory on every host, with manifest.json")->required();
  command->add_option("--sha256", options.sha256, "its content, where the directory is not on this machine");

  command = builder.add("status", "Show hosts, tenants, images, instances and migrations", beside<status>);
  command->add_flag("--json", options.json, "for programs");
}

}  // namespace godwit::apps
