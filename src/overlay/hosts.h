// The other hosts' switches: which peer of our sessions each is, and where datagrams for it go. Pure.
#pragma once

#include "overlay/roster.h"
#include "overlay/seal.h"
#include "wire/network.h"

#include <functional>
#include <unordered_map>
#include <unordered_set>

namespace godwit::overlay {

// Until when what others have signed is valid is said by the wall's clock.
using WallClock = std::function<WallTime()>;

// A host that nobody has configured here, and that has shown its record, is heard for so long: an instance may have
// moved to it a moment ago.
constexpr Seconds kIntroducedFor{180};

class Hosts {
 public:
  // All are borrowed.
  Hosts(Seal& seal, Roster& roster, const WallClock& wall) : seal_(seal), roster_(roster), wall_(wall) {}

  // The host at a location whose record the roster has checked; nobody when its key is not known, or it is ourselves.
  [[nodiscard]] PeerId find_or_add(const wire::Location& location);
  // Somebody with this key showed this record of itself. Nobody when it doesn't hold.
  [[nodiscard]] PeerId introduce(TimePoint now, const crypto::PublicKey& key, ByteView record);
  // An authentic datagram came from there, newer than all before.
  void heard(PeerId peer, const sys::UdpEndpoint& from);
  // None when it is not known.
  [[nodiscard]] sys::UdpEndpoint endpoint(PeerId peer) const;
  // Forgets all others, but who was introduced lately.
  void retain(TimePoint now, const std::unordered_set<PeerId>& wanted);
  [[nodiscard]] bool knows(PeerId peer) const { return hosts_.contains(peer); }

 private:
  struct Host {
    sys::UdpEndpoint configured;
    sys::UdpEndpoint at;
    TimePoint introduced_until{};
  };

  Seal& seal_;
  Roster& roster_;
  const WallClock& wall_;
  std::unordered_map<PeerId, Host> hosts_;
};

}  // namespace godwit::overlay
