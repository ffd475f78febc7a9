// This host's sessions under its own key, as a switch is given them.
#pragma once

#include "overlay/host_key.h"
#include "overlay/seal.h"
#include "sys/clock.h"

namespace godwit::overlay {

class OwnSessions {
 public:
  // `random` and `clock` outlive it.
  OwnSessions(crypto::KeyPair key, sys::Random& random, sys::Clock& clock)
      : ciphers_(crypto::Ciphers::fastest()),
        sessions_(std::move(key), random, [&clock] { return clock.wall_now(); }, ciphers_) {}

  [[nodiscard]] Seal& seal() { return seal_; }

 private:
  crypto::Ciphers ciphers_;
  Sessions sessions_;
  SessionSeal seal_{sessions_};
};

}  // namespace godwit::overlay
