#include "sim/dnsmasq.h"

#include <sstream>

namespace godwit::sim {
namespace {

constexpr std::string_view kHostsOption = "--dhcp-hostsdir=";
constexpr std::size_t kFileLimit = 1024UL * 1024;

}  // namespace

void install_dnsmasq(Host& host) {
  host.register_program(kDnsmasq, [](Process& process, const sys::ProcessSpec& spec) {
    return std::make_unique<Dnsmasq>(process, spec);
  });
}

std::optional<Lease> lease_on(Host& host, const std::string& mac) {
  for (Process* each : host.processes()) {
    if (each->name() != kDnsmasq) continue;
    if (auto lease = dynamic_cast<Dnsmasq&>(each->program()).lease(mac)) return lease;
  }
  return std::nullopt;
}

Dnsmasq::Dnsmasq(Process& process, const sys::ProcessSpec& spec)
    : process_(process), network_namespace_(spec.network_namespace) {
  for (const auto& word : spec.argv) {
    if (word.starts_with(kHostsOption)) hosts_directory_ = word.substr(kHostsOption.size());
  }
  if (!process.host().has_gateway(network_namespace_)) process.kill();
}

// Lines of "MAC,address,name" in the files of its directory.
std::optional<Lease> Dnsmasq::lease(const std::string& mac) const {
  auto& files = process_.host().files();
  const auto names = files.list(hosts_directory_);
  if (!names) return std::nullopt;
  for (const auto& name : *names) {
    std::istringstream text(files.read(hosts_directory_ + "/" + name, kFileLimit).value_or(""));
    for (std::string line; std::getline(text, line);) {
      if (!line.starts_with(mac + ",")) continue;
      const auto rest = line.substr(mac.size() + 1);
      return Lease{rest.substr(0, rest.find(',')), network_namespace_};
    }
  }
  return std::nullopt;
}

}  // namespace godwit::sim
