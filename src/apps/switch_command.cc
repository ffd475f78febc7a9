#include "apps/command.h"
#include "apps/metrics_server.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/http.h"
#include "os/local_sockets.h"
#include "os/log.h"
#include "os/packet_io.h"
#include "os/packet_links.h"
#include "os/tcp.h"
#include "os/tls.h"
#include "overlay/own_sessions.h"
#include "overlay/service.h"

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <list>
#include <memory>

namespace godwit::apps {
namespace {

struct SwitchOptions {
  std::string control;
  std::string state;
  std::vector<std::string> underlay;
  std::vector<std::string> relays;
  std::string metrics;
  std::string log{"info"};
};

// "10.1.0.2", "10.1.0.2:4790", "fd00::1", "[fd00::1]:4790".
Result<sys::UdpEndpoint> parse_endpoint(std::string_view option, std::string_view text) {
  std::string_view host = text;
  std::string_view port_text;
  const bool bracketed = text.starts_with('[') && text.find(']') != text.npos;
  if (bracketed) {
    host = text.substr(1, text.find(']') - 1);
    port_text = text.substr(text.find(']') + 1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, text.find(':'));
    port_text = text.substr(text.find(':'));
  }
  std::uint16_t port = 0;
  if (!port_text.empty()) {
    const auto* end = port_text.data() + port_text.size();
    const auto [read, error] = std::from_chars(port_text.data() + 1, end, port);
    if (port_text[0] != ':' || error != std::errc{} || read != end) {
      return fail(Errc::invalid_argument, "{} {}: must be an address, or an address and a port", option, text);
    }
  }
  auto endpoint = sys::parse_udp_endpoint(std::string(host), port);
  if (!endpoint) return fail(endpoint, option);
  const auto ip = sys::ip_to_string(*endpoint);
  if (ip == "0.0.0.0" || ip == "::") {
    return fail(Errc::invalid_argument, "{} {}: must be the address at which other hosts reach it", option, text);
  }
  return *endpoint;
}

struct RelayOption {
  overlay::RelaySpec spec;
  std::uint16_t tcp_port{0};  // 0: it takes no connections
};

// "KEY@IP:PORT" or "KEY@IP:PORT/TCP", with the key as `godwit relay` says it.
Result<RelayOption> parse_relay(std::string_view text) {
  const auto at = text.find('@');
  const auto bytes = from_base64url(text.substr(0, at));
  RelayOption relay;
  if (at == text.npos || !bytes || bytes->size() != relay.spec.key.size()) {
    return fail(Errc::invalid_argument,
                "--relay: must be KEY@IP:PORT, with the key that the relay tells when it starts");
  }
  std::ranges::copy(*bytes, relay.spec.key.begin());
  const auto slash = text.find('/', at);
  if (slash != text.npos) {
    const auto* const end = text.data() + text.size();
    const auto [read, error] = std::from_chars(text.data() + slash + 1, end, relay.tcp_port);
    if (error != std::errc{} || read != end || relay.tcp_port == 0) {
      return fail(Errc::invalid_argument, "--relay {}: behind the slash must be the relay's TCP port", text);
    }
  }
  const auto endpoint = parse_endpoint("--relay", text.substr(0, slash).substr(at + 1));
  if (!endpoint) return pass(endpoint);
  if (endpoint->port == 0) return fail(Errc::invalid_argument, "--relay: the relay's port is missing: KEY@IP:PORT");
  relay.spec.at = *endpoint;
  return relay;
}

sys::Task<Result<std::unique_ptr<sys::Stream>>> dial_relay(os::Tls& tls, RelayOption relay) {
  auto socket = co_await os::dial_tcp(sys::ip_to_string(relay.spec.at), relay.tcp_port);
  if (!socket) co_return pass(socket);
  auto stream = co_await tls.connect(std::move(*socket), {});
  if (!stream) co_return pass(stream);
  co_return std::unique_ptr<sys::Stream>(std::move(*stream));
}

// That of the other family, if there is one; its port is that of the first.
Result<sys::UdpEndpoint> other_address(const SwitchOptions& options, const sys::UdpEndpoint& first) {
  if (options.underlay.size() == 1) return sys::UdpEndpoint{};
  const auto other = parse_endpoint("--underlay", options.underlay.back());
  if (!other) return pass(other);
  if (options.underlay.size() > 2 || sys::is_ipv4(*other) == sys::is_ipv4(first) || other->port != 0) {
    return fail(
        Errc::invalid_argument,
        "--underlay {}: a second one must be of the other family (IPv4, IPv6), without a port: it has the first's",
        options.underlay.back());
  }
  return *other;
}

// The port of before, where none is asked for: the other hosts know it.
Result<std::unique_ptr<os::SystemPacketIo>> open_packets(const sys::Executor& executor, sys::UdpEndpoint underlay,
                                                         const sys::UdpEndpoint& other,
                                                         const std::optional<overlay::SavedState>& saved,
                                                         const Log& log) {
  const bool again = underlay.port == 0 && saved && saved->underlay_ip == sys::ip_to_string(underlay);
  if (!again) return os::SystemPacketIo::open(executor, underlay, other);
  auto before = underlay;
  before.port = saved->underlay_port;
  auto packets = os::SystemPacketIo::open(executor, before, other);
  if (packets || packets.error().code != Errc::conflict) return packets;
  log.warn("{}: another port is taken; peers find it when locations are told anew", packets.error().message);
  return os::SystemPacketIo::open(executor, underlay, other);
}

sys::Task<void> until_signalled(boost::asio::signal_set& signals, overlay::Service& service,
                                std::unique_ptr<sys::HttpServer>& metrics) {
  co_await signals.async_wait(boost::asio::use_awaitable);
  metrics.reset();
  co_await service.stop();
}

Result<> run(const SwitchOptions& options) {
  const auto level = os::parse_log_level(options.log);
  if (!level) return pass(level);
  os::StderrLog sink(*level);
  const Log log(sink, "switch");
  const auto underlay = parse_endpoint("--underlay", options.underlay.front());
  if (!underlay) return pass(underlay);
  const auto other = other_address(options, *underlay);
  if (!other) return pass(other);
  std::vector<RelayOption> relays;
  for (const auto& each : options.relays) {
    const auto relay = parse_relay(each);
    if (!relay) return pass(relay);
    relays.push_back(*relay);
  }

  boost::asio::io_context context{1};
  const auto executor = context.get_executor();
  os::SystemClock clock;
  os::SystemRandom random;
  os::SystemFiles files;
  os::SystemLocalSockets local(executor);
  const auto made = files.make_directories(options.state, 0700, 0);
  if (!made) return made;
  const auto saved = overlay::load_state(files, options.state);
  if (!saved) return pass(saved);
  auto key = overlay::load_or_make_key(files, random, options.state + "/switch.key");
  if (!key) return pass(key);
  auto packets = open_packets(executor, *underlay, *other, *saved, log);
  if (!packets) return pass(packets);
  auto links = os::SystemSwitchLinks::open(executor);
  if (!links) return pass(links);

  const bool dual = options.underlay.size() > 1;
  const sys::UdpEndpoint second{other->ip, dual ? (*packets)->local().port : std::uint16_t{0}};
  std::vector<overlay::RelaySpec> specs;
  std::ranges::transform(relays, std::back_inserter(specs), &RelayOption::spec);
  overlay::OwnSessions sessions(std::move(*key), random, clock, specs, second);
  if (!sessions.relays_usable()) return fail(sessions.relays_usable(), "--relay");
  os::Tls tls({.server_must_identify = false});  // which relay it is, the session inside says
  std::list<overlay::RelayLink> links_to_relays;
  overlay::ServiceParts parts{executor, clock, random, files, local, **packets, **links, sessions.seal(), log, {}};
  for (std::size_t i = 0; i < relays.size(); ++i) {
    if (relays[i].tcp_port == 0) continue;
    auto dial = [&tls, relay = relays[i]] { return dial_relay(tls, relay); };
    parts.relay_links.push_back(
        &links_to_relays.emplace_back(executor, clock, sessions.seal(), i, std::move(dial), log));
  }
  overlay::Service service(parts, options.state);
  const auto started = service.start(options.control, *saved);
  if (!started) return started;
  log.info("UDP {}, control {}", sys::to_string((*packets)->local()), options.control);
  os::SystemHttp http(executor, clock, log);
  auto metrics = serve_metrics(http, options.metrics, [&service] { return service.metrics(); });
  if (!metrics) return pass(metrics);
  boost::asio::signal_set signals(executor, SIGINT, SIGTERM);
  boost::asio::co_spawn(executor, until_signalled(signals, service, *metrics), boost::asio::detached);
  context.run();
  return {};
}

}  // namespace

void add_switch_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<SwitchOptions>();  // lives as long as the callback that uses it
  auto* command = app.add_subcommand("switch", "This host's end of the virtual networks: the overlay's data plane");
  command->add_option("--control", options->control, "unix socket on which the agent configures it")->required();
  command->add_option("--state", options->state, "directory for its last configuration (best on a tmpfs)")->required();
  command
      ->add_option(
          "--underlay", options->underlay,
          "IP[:PORT] at which other hosts reach it by UDP; twice where it has IPv4 and IPv6: the first is told")
      ->required();
  command->add_option(
      "--relay", options->relays,
      "KEY@IP:PORT of a relay, for hosts that nothing leads to directly: NATs, firewalls; with /TCP behind it "
      "its TLS port, for when UDP is blocked; repeated: the nearest that both hosts have is used");
  command->add_option("--metrics", options->metrics, kMetricsHelp);
  command->add_option("--log", options->log, "debug, info, warn or error")->capture_default_str();
  command->callback([options, &exit_code] {
    options->control = std::filesystem::absolute(options->control);
    options->state = std::filesystem::absolute(options->state);
    const auto done = run(*options);
    if (done) return;
    std::cerr << "godwit switch: " << done.error().message << "\n";
    exit_code = 1;
  });
}

}  // namespace godwit::apps
