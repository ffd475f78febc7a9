// Networks over clouds, as this cloud holds them: who is a member (the user's sky says so), where its own members are,
// and which other clouds their hosts believe.
#pragma once

#include "cloud/instances.h"

namespace godwit::cloud {

constexpr std::size_t kPeersPerNetwork = 64;
constexpr std::size_t kNetworksPerTenant = 256;

class Networks {
 public:
  Networks(Core& core, const Hosts& hosts) : core_(core), hosts_(hosts) {}

  // Trusts what the database says. Call once, before anything is served.
  [[nodiscard]] Result<> start();

  // Sky's word on the members; locations are merged by version with what is known here. The answer has the newest.
  // Errors: invalid_argument, conflict (id or VNI of another), exhausted (kNetworksPerTenant).
  [[nodiscard]] Result<wire::Network> put_network(const User& user, wire::Network network);
  [[nodiscard]] Result<wire::Network> get(const User& user, const std::string& id) const;
  // Errors: not_found, conflict (instances are on it).
  [[nodiscard]] Result<> remove(const User& user, const std::string& id);
  // The whole list of the clouds that the network introduces here. A CA is believed only for hosts of the cloud that it
  // is registered for, and only while a network does so.
  // Errors: not_found, invalid_argument, denied (this cloud's own name), conflict (another CA stands under that name).
  [[nodiscard]] Result<wire::NetworkPeers> put_peers(const User& user, const std::string& id,
                                                     const wire::NetworkPeers& peers);

 private:
  [[nodiscard]] Result<> check_peer(Sql& sql, const User& user, const wire::CloudCa& peer) const;
  [[nodiscard]] Result<> trust();

  Core& core_;
  const Hosts& hosts_;
};

}  // namespace godwit::cloud
