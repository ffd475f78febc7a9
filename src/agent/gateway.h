// This host's end of one network: DHCP and DNS (dnsmasq) and the metadata service, in a network namespace whose device
// gw0 the switch makes. The same gateway address answers on every host, so that a guest that moved finds it again.
#pragma once

#include "agent/metadata.h"
#include "sys/runtime.h"
#include "wire/network.h"

#include <memory>
#include <string>
#include <vector>

namespace godwit::agent {

// What dnsmasq is given: pure, for tests. `directory` holds its files.
[[nodiscard]] std::vector<std::string> dnsmasq_arguments(const wire::Network& network, const std::string& program,
                                                         const std::string& directory);
[[nodiscard]] std::string dhcp_hosts_file(const wire::Network& network);  // MAC, address, name of every member
[[nodiscard]] std::string dns_hosts_file(const wire::Network& network);   // address and names of every member

// One network on one host. Keeps dnsmasq alive, and adopts one that an earlier agent started. One strand.
class Gateway {
 public:
  Gateway(sys::Runtime& runtime, std::string directory, std::string network_namespace, std::string dnsmasq,
          std::function<void(const std::string&)> on_ready);

  // `network` and the guests of this host, now; call as often as they change.
  void update(const wire::Network& network, const std::vector<Guest>& guests);
  void start();
  // Leaves dnsmasq running: guests renew their leases while the agent is away.
  [[nodiscard]] sys::Task<void> stop();
  // Ends dnsmasq and removes its files. Call after stop().
  void remove();

  [[nodiscard]] const std::string& network_namespace() const { return namespace_; }

 private:
  [[nodiscard]] sys::Task<void> keep_dnsmasq();
  [[nodiscard]] sys::Task<void> keep_metadata();
  [[nodiscard]] Result<> write_files();
  [[nodiscard]] std::optional<sys::ProcessId> recorded_process() const;

  sys::Runtime& runtime_;
  std::string directory_;
  std::string namespace_;
  std::string dnsmasq_;
  Metadata metadata_;
  wire::Network network_;
  std::unique_ptr<sys::HttpServer> server_;
  sys::Gate gate_;
};

}  // namespace godwit::agent
