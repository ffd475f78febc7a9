// The other hosts' switches: which peer of our sessions each is. Pure.
#pragma once

#include "overlay/known_location.h"
#include "overlay/location_claim.h"
#include "overlay/roster.h"
#include "overlay/seal.h"
#include "wire/network.h"

#include <array>
#include <functional>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace godwit::overlay {

// Until when what others have signed is valid is said by the wall's clock.
using WallClock = std::function<WallTime()>;

// A host that nobody has configured here, and that has shown its record, is heard for so long: an instance may have
// moved to it a moment ago.
constexpr Seconds kIntroducedFor{180};

using HostAddress = std::array<std::byte, 16>;

class Hosts {
 public:
  // All are borrowed.
  Hosts(Seal& seal, Roster& roster, const WallClock& wall) : seal_(seal), roster_(roster), wall_(wall) {}

  // The host at a location whose record the roster has checked; nobody when its key is not known, the location has
  // ended, or it is ourselves.
  [[nodiscard]] PeerId find_or_add(TimePoint now, const wire::Location& location);
  // A location that somebody announces, with its end, if its claim proves it to who believes `before`. 0.13 ms.
  // Errors: those of prove().
  [[nodiscard]] Result<wire::Location> proven(const wire::Location& before, const Claimed& of,
                                              wire::Location said) const;
  [[nodiscard]] WallTime wall_now() const { return wall_(); }
  // One that this host itself will dial. Errors: those of Roster::admit(); invalid_argument.
  [[nodiscard]] Result<PeerId> dial(TimePoint now, const wire::SwitchPoint& point);
  // Somebody with this key showed this record of itself. Nobody when it doesn't hold.
  [[nodiscard]] PeerId introduce(TimePoint now, const crypto::PublicKey& key, ByteView record);
  // By the address that its key gives (crypto::host_address); nobody when none of these hosts has it.
  [[nodiscard]] PeerId find(const HostAddress& address) const;
  [[nodiscard]] const HostAddress* address(PeerId peer) const;
  // A session with each: after a restart all that there were are void.
  void begin_all(TimePoint now) {
    for (const auto& [peer, host] : hosts_) seal_.begin(now, peer);
  }
  // Forgets all others, but who was introduced lately.
  void retain(TimePoint now, const std::unordered_set<PeerId>& wanted);
  // What the members of all networks share.
  [[nodiscard]] Places& places() { return places_; }
  [[nodiscard]] Roles& roles() { return roles_; }
  [[nodiscard]] std::vector<PeerId> all() const {
    std::vector<PeerId> out;
    out.reserve(hosts_.size());
    for (const auto& [peer, host] : hosts_) out.push_back(peer);
    return out;
  }
  [[nodiscard]] bool knows(PeerId peer) const { return hosts_.contains(peer); }

 private:
  struct Host {
    TimePoint introduced_until{};
    HostAddress address{};
  };
  [[nodiscard]] Host& add(PeerId peer, const crypto::PublicKey& key);

  Seal& seal_;
  Roster& roster_;
  const WallClock& wall_;
  std::unordered_map<PeerId, Host> hosts_;
  std::map<HostAddress, PeerId> by_address_;
  Places places_;
  Roles roles_;
};

}  // namespace godwit::overlay
