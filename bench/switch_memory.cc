// What a switch keeps in memory that knows 100,000 members of 25 networks on 1,000 hosts, one of them here in each
// network. Prints lines of "name MiB": resident memory after each step, what was free given back. bench_switch_memory
// runs it.
#include "base/assert.h"
#include "crypto/host_record.h"
#include "overlay/own_sessions.h"
#include "overlay/switch.h"

#include <malloc.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <random>

namespace godwit::overlay {
namespace {

constexpr unsigned kHosts = 1000;
constexpr unsigned kNetworks = 25;
constexpr unsigned kMembers = 4000;  // of a network
constexpr unsigned kHere = 1;        // our host's number

class Chance final : public sys::Random {
 public:
  void fill(ByteSpan out) override {
    for (auto& each : out) each = static_cast<std::byte>(engine_());
  }

 private:
  std::mt19937_64 engine_{7};
};

double resident_mib() {
  malloc_trim(0);
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void report(std::string_view name) { std::cout << name << ' ' << resident_mib() << '\n'; }

struct Cloud {
  Chance random;
  WallTime now{Millis(1'800'000'000'000)};
  crypto::Key key{crypto::Key::generate().value()};
  crypto::Validity validity{now - std::chrono::hours(1), now + std::chrono::hours(24)};
  std::string pem{crypto::make_authority(key, "cloud", validity, random).value()};
  std::vector<std::string> records;

  Cloud() {
    for (unsigned i = 0; i < kHosts; ++i) {
      const auto pair = crypto::KeyPair::generate(random);
      const crypto::HostRecord host{"cloud", fmt::format("h{}", i), pair.public_key(), crypto::SessionProfile::native,
                                    validity};
      records.push_back(to_base64url(crypto::sign_host_record(host, key).value()));
    }
  }
};

wire::SwitchNetwork network(const Cloud& cloud, unsigned number) {
  wire::SwitchNetwork out;
  auto& net = out.network;
  net.id = fmt::format("net-{:017x}", number + 1);
  net.name = fmt::format("network-{}", number);
  net.vni = number + 1;
  net.cidr = "10.0.0.0/8";
  net.cidr6 = wire::derive_cidr6(net.id);
  net.gateway = "10.0.0.1";
  net.domain = net.name + ".internal";
  net.key = std::string(64, 'a');
  for (unsigned i = 0; i < kMembers; ++i) {
    const auto host = i % kHosts;
    const auto global = number * kMembers + i;
    const wire::Ipv4 ip{0x0a000000U + 11 + i};
    net.members.push_back({fmt::format("i-{:017x}", global),
                           fmt::format("{}-{}", net.name, i),
                           to_string(wire::Mac{0x020000000000ULL + global}),
                           to_string(ip),
                           {"worker"},
                           {"cloud", fmt::format("h{}", host), fmt::format("203.0.{}.{}", host / 250, host % 250 + 1),
                            4790, 1, cloud.records[host]}});
    if (host == kHere && out.ports.empty()) {
      const auto& member = net.members.back();
      out.ports.push_back({member.instance, member.mac, member.ip, fmt::format("tap{}", number), 1});
    }
  }
  return out;
}

int run() {
  const Cloud cloud;
  Chance random;
  TimePoint now{Seconds{1000}};
  report("before");
  const auto ciphers = crypto::Ciphers::fastest();
  Underlay underlay(crypto::KeyPair::generate(random), random, [&] { return cloud.now; }, ciphers);
  UnderlaySeal seal(underlay);
  Outbox out;
  Switch core(*sys::parse_udp_endpoint("203.0.0.2", 4790), random, seal, [&] { return cloud.now; });
  report("empty");
  const auto configure = [&] {
    wire::SwitchConfig config;
    config.cloud = "cloud";
    config.host = fmt::format("h{}", kHere);
    config.authorities = {{"cloud", cloud.pem}};
    config.record = cloud.records[kHere];
    for (unsigned i = 0; i < kNetworks; ++i) config.networks.push_back(network(cloud, i));
    const auto done = core.configure(now, config);
    if (!done) std::cerr << done.error().message << '\n';
    return done.has_value();
  };
  if (!configure()) return 1;
  report("configured");
  if (!configure()) return 1;
  report("configured_again");
  return 0;
}

}  // namespace
}  // namespace godwit::overlay

int main() { return godwit::overlay::run(); }
