// For tests: hosts with Sessions, whose datagrams are lists.
#pragma once

#include "overlay/session.h"

#include <algorithm>
#include <random>

namespace godwit::overlay::testing {

// crypto::Ciphers for all of a test's hosts.
inline const crypto::Ciphers& test_ciphers() {
  static const auto ciphers = crypto::Ciphers::fastest();
  return ciphers;
}

class DrawnRandom final : public sys::Random {
 public:
  explicit DrawnRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(ByteSpan out) override {
    for (auto& each : out) each = static_cast<std::byte>(engine_());
  }
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }

 private:
  std::mt19937_64 engine_;
};

inline sys::UdpEndpoint endpoint_of(unsigned number, std::uint16_t port = 4790) {
  sys::UdpEndpoint out;
  out.ip[10] = out.ip[11] = std::byte{0xff};
  out.ip[12] = std::byte{10};
  store_be16(ByteSpan(out.ip).subspan(14), static_cast<std::uint16_t>(number));
  out.port = port;
  return out;
}

inline crypto::KeyPair key_pair_of(unsigned number) {
  DrawnRandom random(number);
  return crypto::KeyPair::generate(random);
}

inline PeerSpec spec_of(unsigned number, Profile profile = Profile::native) {
  return {key_pair_of(number).public_key(), {}, profile};
}

struct SessionHost {
  SessionHost(unsigned number_, std::uint64_t seed)
      : number(number_),
        random(seed),
        sessions(key_pair_of(number_), random, [this] { return wall; }, test_ciphers()) {}

  // A datagram with `text`; empty when there is no session.
  ByteVector seal(TimePoint now, PeerId peer, std::string_view text) {
    ByteVector out(kSealOverhead + text.size());
    std::ranges::copy(as_bytes(text), out.begin() + kSealHeader);
    if (!sessions.seal(now, peer, out)) out.clear();
    return out;
  }
  Opened open(TimePoint now, const SessionHost& from, ByteVector& datagram) {
    return sessions.on_datagram(now, endpoint_of(from.number), datagram);
  }

  unsigned number;
  WallTime wall{Seconds{1'700'000'000}};
  DrawnRandom random;
  Sessions sessions;
};

}  // namespace godwit::overlay::testing
