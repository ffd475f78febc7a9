// How this host talks with others under its own key, as a switch is given it.
#pragma once

#include "overlay/host_key.h"
#include "overlay/seal.h"
#include "sys/clock.h"

namespace godwit::overlay {

class OwnSessions {
 public:
  // `random` and `clock` outlive it. `relays`: by which hosts are reached that no way leads to directly. `other`: this
  // host's address of the other family.
  OwnSessions(crypto::KeyPair key, sys::Random& random, sys::Clock& clock, std::span<const RelaySpec> relays = {},
              const sys::UdpEndpoint& other = {})
      : ciphers_(crypto::Ciphers::fastest()),
        underlay_(
            std::move(key), random, [&clock] { return clock.wall_now(); }, ciphers_),
        seal_(underlay_, other) {
    for (const auto& each : relays) {
      if (usable_) usable_ = underlay_.use_relay(clock.now(), each);
    }
  }

  [[nodiscard]] Seal& seal() { return seal_; }
  // As Underlay::use_relay() says of the first that can't be used.
  [[nodiscard]] const Result<>& relays_usable() const { return usable_; }

 private:
  crypto::Ciphers ciphers_;
  Underlay underlay_;
  UnderlaySeal seal_;
  Result<> usable_;
};

}  // namespace godwit::overlay
