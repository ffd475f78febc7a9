#include "agent/gateway.h"

#include "wire/ipv6.h"

#include <csignal>

namespace godwit::agent {
namespace {

constexpr Millis kFirstRetry{100};
constexpr Millis kLastRetry{5'000};
constexpr const char* kDevice = "gw0";
constexpr Seconds kAdvertiseEvery{60};
constexpr unsigned kDocumentationEnterprise = 32473;  // RFC 5612
constexpr const char* kMetadataAddress = "169.254.169.254";

struct ProcessRecord {
  std::int32_t pid{0};
  std::uint64_t start_ticks{0};
  std::vector<std::string> argv;
};
BOOST_DESCRIBE_STRUCT(ProcessRecord, (), (pid, start_ticks, argv))

Millis next_retry(Millis retry) { return std::min(retry * 2, kLastRetry); }

std::string netmask_prefix(const std::string& cidr) { return cidr.substr(cidr.find('/') + 1); }

// The address that the network gives who has `ip`; empty where it has no IPv6.
std::string ipv6_of(const wire::Network& network, const std::string& ip) {
  const auto prefix = wire::parse_ipv6_prefix(network.cidr6);
  const auto address = wire::parse_ipv4(ip);
  return prefix && address ? to_string(wire::member_address(*prefix, *address)) : std::string();
}

// Addresses by DHCPv6 alone, as it gives each member its own; the router's advertisements say so, and that no way leads
// out of the network. The server is the same on every host: so is its DUID.
std::vector<std::string> ipv6_arguments(const wire::Network& network) {
  const auto gateway = ipv6_of(network, network.gateway);
  if (gateway.empty()) return {};
  return {fmt::format("--dhcp-range={},static,64,infinite", network.cidr6.substr(0, network.cidr6.find('/'))),
          "--enable-ra",
          fmt::format("--ra-param={},{},0", kDevice, kAdvertiseEvery.count()),
          fmt::format("--dhcp-duid={},{:08x}", kDocumentationEnterprise, network.vni),
          fmt::format("--dhcp-option=option6:dns-server,[{}]", gateway),
          fmt::format("--dhcp-option=option6:domain-search,{}", network.domain)};
}

}  // namespace

std::vector<std::string> dnsmasq_arguments(const wire::Network& network, const std::string& program,
                                           const std::string& directory) {
  const auto base = network.cidr.substr(0, network.cidr.find('/'));
  const auto bits = static_cast<unsigned>(std::atoi(netmask_prefix(network.cidr).c_str()));
  const std::uint32_t mask = bits == 0 ? 0 : ~std::uint32_t{0} << (32 - std::min(bits, 32U));
  const auto netmask = fmt::format("{}.{}.{}.{}", mask >> 24U, (mask >> 16U) & 255U, (mask >> 8U) & 255U, mask & 255U);
  std::vector<std::string> out{
      program, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--no-resolv", "--no-hosts", "--no-ping",
      "--bind-interfaces", "--except-interface=lo", fmt::format("--interface={}", kDevice),
      fmt::format("--listen-address={}", network.gateway), "--leasefile-ro", "--dhcp-authoritative",
      // Only members get an address, always the same one and for ever: no renewal hangs on one host.
      fmt::format("--dhcp-range={},static,{},infinite", base, netmask), "--dhcp-hostsdir=" + directory + "/dhcp",
      "--hostsdir=" + directory + "/dns", "--domain=" + network.domain, "--local=/" + network.domain + "/",
      fmt::format("--dhcp-option=option:mtu,{}", network.mtu),
      fmt::format("--dhcp-option=option:router,{}", network.gateway),
      fmt::format("--dhcp-option=option:dns-server,{}", network.gateway),
      fmt::format("--dhcp-option=option:domain-search,{}", network.domain)};
  const auto more = ipv6_arguments(network);
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

std::string dhcp_hosts_file(const wire::Network& network) {
  std::string out;
  for (const auto& member : network.members) {
    const auto ipv6 = ipv6_of(network, member.ip);
    out +=
        fmt::format("{},{},{}{}\n", member.mac, member.ip, ipv6.empty() ? "" : fmt::format("[{}],", ipv6), member.name);
  }
  return out;
}

std::string dns_hosts_file(const wire::Network& network) {
  std::string out;
  const auto add = [&](const std::string& ip, const std::string& name) {
    out += fmt::format("{0} {1}.{2} {1}\n", ip, name, network.domain);
    if (const auto ipv6 = ipv6_of(network, ip); !ipv6.empty())
      out += fmt::format("{0} {1}.{2} {1}\n", ipv6, name, network.domain);
  };
  add(network.gateway, "gateway");
  for (const auto& member : network.members) add(member.ip, member.name);
  return out;
}

Gateway::Gateway(sys::Runtime& runtime, std::string directory, std::string network_namespace, std::string dnsmasq,
                 std::function<void(const std::string&)> on_ready)
    : runtime_(runtime),
      directory_(std::move(directory)),
      namespace_(std::move(network_namespace)),
      dnsmasq_(std::move(dnsmasq)),
      metadata_(runtime.clock, runtime.random, std::move(on_ready)),
      gate_(runtime.executor) {}

void Gateway::update(const wire::Network& network, const std::vector<Guest>& guests) {
  metadata_.set_guests(guests);
  if (encode(network) == encode(network_)) return;
  network_ = network;
  const auto written = write_files();
  if (!written) runtime_.log.error("network {}: {}", network.id, written.error().message);
}

// dnsmasq watches both directories (inotify) and reads what changes in them.
Result<> Gateway::write_files() {
  for (const auto* part : {"/dhcp", "/dns"}) {
    const auto made = runtime_.files.make_directories(directory_ + part, 0755, 0);
    if (!made) return made;
  }
  const auto dhcp = runtime_.files.write_atomic(directory_ + "/dhcp/members", dhcp_hosts_file(network_), 0644);
  if (!dhcp) return dhcp;
  return runtime_.files.write_atomic(directory_ + "/dns/members", dns_hosts_file(network_), 0644);
}

void Gateway::start() {
  gate_.spawn(keep_dnsmasq());
  gate_.spawn(keep_metadata());
}

sys::Task<void> Gateway::stop() {
  co_await gate_.close();
  server_.reset();
}

void Gateway::remove() {
  if (const auto process = recorded_process()) runtime_.processes.signal(*process, SIGTERM);
  const auto removed = runtime_.files.remove_tree(directory_);
  if (!removed) runtime_.log.warn("network {}: {}", network_.id, removed.error().message);
}

std::optional<sys::ProcessId> Gateway::recorded_process() const {
  const auto text = runtime_.files.read(directory_ + "/dnsmasq.json", 64UL * 1024);
  if (!text) return std::nullopt;
  const auto record = wire::decode<ProcessRecord>(*text);
  if (!record) return std::nullopt;
  const sys::ProcessId id{record->pid, record->start_ticks};
  if (!runtime_.processes.alive(id)) return std::nullopt;
  return id;
}

sys::Task<void> Gateway::keep_dnsmasq() {
  Millis retry = kFirstRetry;
  for (;;) {
    auto process = recorded_process();
    if (!process) {
      sys::ProcessSpec spec;
      spec.argv = dnsmasq_arguments(network_, dnsmasq_, directory_);
      spec.network_namespace = namespace_;
      spec.output_path = directory_ + "/dnsmasq.log";
      const auto started = runtime_.processes.spawn(spec);
      if (started) {
        process = *started;
        const auto record = wire::encode(ProcessRecord{started->pid, started->start_ticks, spec.argv});
        const auto written = runtime_.files.write_atomic(directory_ + "/dnsmasq.json", record, 0600);
        if (!written) runtime_.log.error("network {}: {}", network_.id, written.error().message);
      } else {
        runtime_.log.debug("network {}: dnsmasq: {}", network_.id, started.error().message);
      }
    }
    const auto since = runtime_.clock.now();
    if (process) co_await runtime_.processes.wait_gone(*process);
    // It ends at once while the switch has not made gw0 yet.
    retry = runtime_.clock.now() - since > kLastRetry ? kFirstRetry : next_retry(retry);
    co_await runtime_.clock.sleep_for(retry);
  }
}

sys::Task<void> Gateway::keep_metadata() {
  Millis retry = kFirstRetry;
  while (!server_) {
    sys::HttpListen where;
    where.host = kMetadataAddress;
    where.port = 80;
    where.tls = sys::HttpTls::none;
    where.network_namespace = namespace_;
    sys::HttpHandler handler = [this](sys::HttpRequest request) -> sys::Task<sys::HttpResponse> {
      co_return metadata_.answer(request);
    };
    auto server = runtime_.http.serve(where, std::move(handler));
    if (server) {
      server_ = std::move(*server);
    } else {
      runtime_.log.debug("network {}: metadata service: {}", network_.id, server.error().message);
      co_await runtime_.clock.sleep_for(retry);
      retry = next_retry(retry);
    }
  }
}

}  // namespace godwit::agent
