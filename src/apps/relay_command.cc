// `godwit relay`: where hosts behind NATs find each other, and what carries their datagrams where nothing else does.
#include "apps/address.h"
#include "apps/command.h"
#include "apps/metrics_server.h"
#include "crypto/identity.h"
#include "os/packet_io.h"
#include "os/system.h"
#include "os/tcp.h"
#include "os/tls.h"
#include "overlay/host_key.h"
#include "overlay/relay_admission.h"
#include "overlay/relay_service.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>

namespace godwit::apps {
namespace {

constexpr std::size_t kAllowedLimit_bytes = 16UL * 1024 * 1024;
constexpr std::size_t kPemLimit_bytes = 64UL * 1024;
constexpr Seconds kTlsHandshake{5};
constexpr std::chrono::hours kOwnCertificate{24 * 3650};
constexpr std::size_t kMostHandshakes = 256;  // of TLS, at a time

struct RelayOptions {
  std::string listen{"0.0.0.0:4791"};
  std::string state{"/var/lib/godwit/relay"};
  std::string allow;
  std::vector<std::string> authorities;
  bool open{false};
  std::string tcp;
  std::string certificate;
  std::string key;
  std::string metrics;
  std::uint64_t rate_mbit{1000};
  std::size_t clients{4096};
  std::size_t channels{1024};
  std::string log{"info"};
};

Result<overlay::RelayAdmission::Keys> read_allowed(sys::Runtime& runtime, const std::string& path) {
  const auto text = runtime.files.read(path, kAllowedLimit_bytes);
  if (!text) return fail(text, "--allow");
  overlay::RelayAdmission::Keys out;
  std::string_view rest = *text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto word = line.substr(0, line.find_first_of(" \t#"));
    if (word.empty()) continue;
    const auto bytes = from_base64url(word);
    crypto::PublicKey key{};
    if (!bytes || bytes->size() != key.size()) {
      return fail(Errc::invalid_argument, "{}:{}: must be a host's key, as base64url", path, number);
    }
    std::ranges::copy(*bytes, key.begin());
    out.insert(key);
  }
  return out;
}

// "CLOUD=FILE", with the certificate of the cloud's CA.
Result<std::vector<wire::CloudCa>> read_authorities(sys::Runtime& runtime, const std::vector<std::string>& words) {
  std::vector<wire::CloudCa> out;
  for (const auto& each : words) {
    const auto equals = each.find('=');
    if (equals == each.npos) return fail(Errc::invalid_argument, "--authority {}: must be CLOUD=FILE", each);
    auto pem = runtime.files.read(each.substr(equals + 1), kPemLimit_bytes);
    if (!pem) return fail(pem, "--authority");
    out.push_back({each.substr(0, equals), std::move(*pem)});
  }
  return out;
}

Result<> set_up(sys::Runtime& runtime, const RelayOptions& options, overlay::RelayAdmission& admission) {
  const bool some = !options.allow.empty() || !options.authorities.empty();
  if (options.open == some) {
    return fail(Errc::invalid_argument,
                "say whom it serves: --authority CLOUD=FILE for a cloud's hosts, --allow FILE with keys, or --open for "
                "everybody");
  }
  if (options.open) admission.open_to_all();
  if (!options.allow.empty()) {
    auto keys = read_allowed(runtime, options.allow);
    if (!keys) return pass(keys);
    admission.allow(std::move(*keys));
  }
  const auto authorities = read_authorities(runtime, options.authorities);
  if (!authorities) return pass(authorities);
  const auto trusted = admission.trust(*authorities);
  return trusted ? trusted : fail(trusted, "--authority");
}

// ---- TCP

struct TcpFront {
  os::Tls tls{{.client_must_identify = false}};  // who a client is, it says in its session
  std::unique_ptr<os::Acceptor> acceptor;
};

// Switches look for the relay's key inside, at no certificate: without one of the operator's it is made for this run.
Result<os::TlsIdentity> tls_identity(sys::Runtime& runtime, const RelayOptions& options) {
  if (options.certificate.empty()) {
    const auto key = crypto::Key::generate();
    if (!key) return pass(key);
    const auto now = runtime.clock.wall_now();
    const auto made =
        crypto::make_authority(*key, "relay", {now - kOwnCertificate, now + kOwnCertificate}, runtime.random);
    if (!made) return pass(made);
    return os::TlsIdentity{*made, key->to_pem()};
  }
  const auto certificate = runtime.files.read(options.certificate, kPemLimit_bytes);
  if (!certificate) return fail(certificate, "--tls-certificate");
  const auto key = runtime.files.read(options.key, kPemLimit_bytes);
  if (!key) return fail(key, "--tls-key");
  return os::TlsIdentity{*certificate, *key};
}

Result<std::unique_ptr<TcpFront>> open_tcp(sys::Runtime& runtime, const RelayOptions& options) {
  const auto address = parse_address("--tcp", options.tcp);
  if (!address) return pass(address);
  const auto identity = tls_identity(runtime, options);
  if (!identity) return pass(identity);
  auto front = std::make_unique<TcpFront>();
  const auto used = front->tls.use_identity(*identity);
  if (!used) return pass(used);
  auto listening = os::listen_tcp({address->host, address->port, {}, {}});
  if (!listening) return pass(listening);
  const int family = os::family_of(*listening);
  front->acceptor = std::make_unique<os::Acceptor>(runtime.executor, std::move(*listening), family, options.tcp);
  return front;
}

sys::Task<void> greet(sys::Runtime runtime, TcpFront& front, overlay::RelayService& service, os::Socket socket) {
  auto shaking = front.tls.accept(std::move(socket));
  auto stream = co_await sys::within(runtime.clock, kTlsHandshake, "TLS handshake", std::move(shaking));
  if (stream) service.serve(std::move(*stream));
}

sys::Task<void> accept_all(sys::Runtime runtime, TcpFront& front, overlay::RelayService& service, sys::Gate& gate) {
  for (;;) {
    auto socket = co_await front.acceptor->accept();
    if (!socket) co_return;
    if (gate.running() < kMostHandshakes) gate.spawn(greet(runtime, front, service, std::move(*socket)));
  }
}

// ---- the process

sys::Task<Result<>> relay(os::System& on, RelayOptions options) {
  auto runtime = on.runtime();
  const auto address = parse_address("--listen", options.listen);
  if (!address) co_return pass(address);
  const auto endpoint = sys::parse_udp_endpoint(address->host, address->port);
  if (!endpoint) co_return fail(endpoint, "--listen");
  const auto wall = [&clock = runtime.clock] { return clock.wall_now(); };
  overlay::RelayAdmission admission(wall);
  const auto set = set_up(runtime, options, admission);
  if (!set) co_return set;
  const auto made = runtime.files.make_directories(options.state, 0700, 0);
  if (!made) co_return made;
  auto key = overlay::load_or_make_key(runtime.files, runtime.random, options.state + "/relay.key");
  if (!key) co_return pass(key);
  const auto name = to_base64url(key->public_key());
  const auto told = runtime.files.write_atomic(options.state + "/relay.pub", name + "\n", 0644);
  if (!told) co_return fail(told, "tell the relay's key");
  auto packets = os::SystemPacketIo::open(runtime.executor, *endpoint);
  if (!packets) co_return pass(packets);

  const auto ciphers = crypto::Ciphers::fastest();
  overlay::Relay core(std::move(*key), runtime.random, wall, ciphers,
                      {.clients = options.clients,
                       .channels_a_client = options.channels,
                       .bytes_per_s = options.rate_mbit * 125'000,
                       .burst = overlay::RelayLimits{}.burst},
                      [&admission](const auto& host, ByteView record) { return admission.admits(host, record); });
  overlay::RelayService service(runtime.executor, runtime.clock, **packets, core, runtime.log);
  sys::Gate gate(runtime.executor);
  std::unique_ptr<TcpFront> front;
  if (!options.tcp.empty()) {
    auto opened = open_tcp(runtime, options);
    if (!opened) co_return pass(opened);
    front = std::move(*opened);
  }
  auto metrics = serve_metrics(runtime.http, options.metrics, [&service] { return service.metrics(); });
  if (!metrics) co_return pass(metrics);
  service.start();
  if (front) gate.spawn(accept_all(runtime, *front, service, gate));
  runtime.log.info("relay {} at UDP {}", name, sys::to_string((*packets)->local()));
  co_await on.stop_requested();
  metrics->reset();
  co_await gate.close();
  co_await service.stop();
  co_return Result<>{};
}

int failed(const Error& error) {
  std::cerr << "godwit relay: " << error.message << "\n";
  return 1;
}

int run(const RelayOptions& options) {
  const auto level = os::parse_log_level(options.log);
  if (!level) return failed(level.error());
  os::System system({.log_level = *level, .component = "relay"});
  return system.run([&](os::System& on) -> sys::Task<int> {
    auto wish = options;
    const auto done = co_await relay(on, std::move(wish));
    if (!done) co_return failed(done.error());
    co_return 0;
  });
}

}  // namespace

void add_relay_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<RelayOptions>();
  auto* command = app.add_subcommand("relay", "Where switches behind NATs find each other; carries what they can't");
  command->add_option("--listen", options->listen, "IP:PORT, UDP")->capture_default_str();
  command
      ->add_option("--state", options->state, "Directory of its key (relay.key); relay.pub is what switches are told")
      ->capture_default_str();
  command->add_option("--allow", options->allow, "File with the keys of hosts that may use it, base64url, one a line");
  command->add_option("--authority", options->authorities,
                      "CLOUD=FILE, with that cloud's CA: its hosts may use it (repeated: of several clouds)");
  command->add_flag("--open", options->open, "Everybody may use it");
  auto* tcp = command->add_option("--tcp", options->tcp, "IP:PORT, TLS: for hosts whose UDP is blocked (443)");
  auto* certificate =
      command->add_option("--tls-certificate", options->certificate, "PEM, for --tcp (else one is made)")->needs(tcp);
  auto* key = command->add_option("--tls-key", options->key, "PEM, for --tcp")->needs(tcp)->needs(certificate);
  certificate->needs(key);
  command->add_option("--metrics", options->metrics, kMetricsHelp);
  command->add_option("--rate-mbit", options->rate_mbit, "Carried for one host at most, in Mbit/s")
      ->capture_default_str();
  command->add_option("--clients", options->clients, "Hosts at a time")->capture_default_str();
  command->add_option("--channels", options->channels, "Peers that one host reaches by it")->capture_default_str();
  command->add_option("--log", options->log, "debug, info, warn or error")->capture_default_str();
  command->footer("Example:\n  godwit relay --authority cloud-a=cloud-a.pem --listen 198.51.100.1:4791");
  command->callback([options, &exit_code] {
    options->state = std::filesystem::absolute(options->state);
    exit_code = run(*options);
  });
}

}  // namespace godwit::apps
