// The other hosts' switches: which peer of our sessions each is, and where datagrams for it go. Pure.
#pragma once

#include "overlay/seal.h"
#include "wire/network.h"

#include <unordered_map>
#include <unordered_set>

namespace godwit::overlay {

class Hosts {
 public:
  explicit Hosts(Seal& seal) : seal_(seal) {}

  // The peer at a location; 0 where it says none. Its endpoint is where we send from now on, until it is heard elsewhere.
  [[nodiscard]] PeerId find_or_add(const wire::Location& location);
  // An authenticated datagram came from there: it roamed, or the location is a NAT's word against its own.
  void heard(PeerId peer, const sys::UdpEndpoint& from);
  // None when it is not known.
  [[nodiscard]] sys::UdpEndpoint endpoint(PeerId peer) const;
  // Forgets all others.
  void retain(const std::unordered_set<PeerId>& wanted);

 private:
  struct Host {
    PublicKey key{};
    sys::UdpEndpoint configured;
    sys::UdpEndpoint at;
  };

  Seal& seal_;
  std::unordered_map<PeerId, Host> hosts_;
};

}  // namespace godwit::overlay
