// A simulated dnsmasq, as far as guests notice it: it leases the addresses that its host's directory gives to MACs.
#pragma once

#include "sim/host.h"

#include <optional>
#include <string>

namespace godwit::sim {

inline constexpr const char* kDnsmasq = "dnsmasq";

// From now on `host` can start it.
void install_dnsmasq(Host& host);

struct Lease {
  std::string ip;
  std::string network_namespace;  // of the network
};

// Of whichever dnsmasq of `host` answers to `mac`.
[[nodiscard]] std::optional<Lease> lease_on(Host& host, const std::string& mac);

class Dnsmasq final : public Program {
 public:
  // Ends at once where its network namespace is not there.
  Dnsmasq(Process& process, const sys::ProcessSpec& spec);
  [[nodiscard]] std::optional<Lease> lease(const std::string& mac) const;

 private:
  Process& process_;
  std::string hosts_directory_;
  std::string network_namespace_;
};

}  // namespace godwit::sim
