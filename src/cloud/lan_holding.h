// Which of the hosts that could join a network to their LAN does it, so that never two do, and another one when it has
// died. Pure. docs/protocols/overlay.md, "A LAN", says how cloud, agent and switch keep to it.
//
// A host that is alone asks nobody: it goes on without its cloud. Where another one could take over it joins the two
// under a lease, which ends by itself wire::kLanLease after the host has last asked its cloud.
#pragma once

#include "base/time.h"

#include <cstdint>
#include <span>
#include <string>

namespace godwit::cloud {

// For so long a host that joins a network to its LAN has not asked, before another one does: its lease has ended, also
// where clocks run at different speeds.
constexpr Seconds kLanSilence{60};

struct LanHolding {
  std::string host;          // empty: none
  std::uint64_t version{0};  // one more at each change of `host` or `leased`
  bool leased{false};
  bool accepted{false};  // the host is known to do it under the lease of this version, or not at all

  bool operator==(const LanHolding&) const = default;
};

struct LanOffer {
  std::string host;
  bool serves{false};  // was heard lately, and has a switch
};

// Who holds the LAN from now on. `silence`: for how long now.host has not asked for it.
[[nodiscard]] LanHolding next_holding(const LanHolding& now, Nanos silence, std::span<const LanOffer> offers);
// Its host says that it joins the two under the lease with that version.
[[nodiscard]] LanHolding accepted_by_host(LanHolding now, std::uint64_t version);

}  // namespace godwit::cloud
