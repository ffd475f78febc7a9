// How this host talks with others under its own key, as a switch is given it.
#pragma once

#include "overlay/host_key.h"
#include "overlay/seal.h"
#include "sys/clock.h"

namespace godwit::overlay {

class OwnSessions {
 public:
  // `random` and `clock` outlive it. `relay`: by which hosts are reached that no way leads to directly.
  OwnSessions(crypto::KeyPair key, sys::Random& random, sys::Clock& clock, const std::optional<RelaySpec>& relay = {})
      : ciphers_(crypto::Ciphers::fastest()),
        underlay_(std::move(key), random, [&clock] { return clock.wall_now(); }, ciphers_) {
    if (relay) underlay_.use_relay(clock.now(), *relay);
  }

  [[nodiscard]] Seal& seal() { return seal_; }

 private:
  crypto::Ciphers ciphers_;
  Underlay underlay_;
  UnderlaySeal seal_{underlay_};
};

}  // namespace godwit::overlay
