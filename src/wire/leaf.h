// Members of a network that are no instances, but somebody's WireGuard, as sky's API says them (docs/api/sky.yaml).
#pragma once

#include "wire/network.h"

namespace godwit::wire {

// POST /v1/networks/ID/join. Asking twice with one name and key is asking once.
struct LeafRequest {
  std::string name;   // its DNS label on the network
  std::string key;    // its WireGuard's public key (X25519), in hex; the private one stays where it was made
  std::string cloud;  // that shall serve it; empty: sky chooses
};
BOOST_DESCRIBE_STRUCT(LeafRequest, (), (name, key, cloud))

// POST /v1/networks/ID/leave.
struct LeaveRequest {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(LeaveRequest, (), (name))

struct LeafView {
  std::string name;
  std::string instance;  // the id that it has among the members
  std::string ip;
  std::string ipv6;  // empty: the network has none
  std::string key;   // in hex
  std::string cloud;
  std::string host;      // that serves it; empty: none yet
  std::string endpoint;  // where that host's switch listens for it, as far as its cloud knows
  std::string host_key;  // that switch's public key, in hex
  std::string problem;   // why no host serves it

  bool operator==(const LeafView&) const = default;
};
BOOST_DESCRIBE_STRUCT(LeafView, (), (name, instance, ip, ipv6, key, cloud, host, endpoint, host_key, problem))

// GET /v1/networks/ID/leaves, and the answer to join and leave.
struct LeafList {
  Network network;  // without its key and members
  std::vector<LeafView> leaves;
};
BOOST_DESCRIBE_STRUCT(LeafList, (), (network, leaves))

}  // namespace godwit::wire
