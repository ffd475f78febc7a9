// Which hosts join a network to a real LAN: the hosts' operators say which could, and one of them does it.
#pragma once

#include "cloud/core.h"
#include "cloud/lan_holding.h"

namespace godwit::cloud {

class Hosts;

// Keeps what the host could join. True when that has changed. What it has no longer is believed once its agent has
// heard from its switch, which goes on with its last configuration until then. Call inside a writing transaction.
[[nodiscard]] bool note_lans(Sql& sql, const wire::HostReport& report);
// What the host of this cloud that is to do it for the network is known by; nothing when none is, or another cloud's is
// named already: the first that sky heard of. Two would make a loop.
[[nodiscard]] std::optional<LanHoldingRow> uplink_of(Sql& sql, Core& core, const wire::Network& network);
// True once sky has named this cloud. Before that its host waits: another cloud may have one at the same moment.
[[nodiscard]] bool is_named_for(const Core& core, const wire::Network& network);
// This cloud is named for the network, and none of its hosts would join it any more.
[[nodiscard]] bool has_none_for(Sql& sql, Core& core, const wire::Network& network);
// Before sky hears that: it may name another cloud then, so this one is to be named anew, as what it says next is new.
// Call inside a writing transaction; `network` is what will be written.
void give_up_name(Sql& sql, wire::Network& network);
// The networks for which `host` does it.
[[nodiscard]] std::vector<LanHoldingRow> networks_joined_at(Sql& sql, Core& core, const std::string& host);

// Hands the LANs on from hosts that have died. One strand.
class Lans {
 public:
  // After a start every host counts as having asked just now: what it was let do before may still last.
  explicit Lans(Core& core) : core_(core), started_(core.clock().now()) {}

  // A report of `asking`, which is in the database already, has come: it asks for the LANs that it could join. True
  // when something has changed. Call inside a writing transaction.
  [[nodiscard]] bool settle(Sql& sql, const Hosts& hosts, const HostRow& asking);

 private:
  [[nodiscard]] bool settle(Sql& sql, const Hosts& hosts, const HostRow& asking, const NetworkRow& network);
  [[nodiscard]] std::vector<LanOffer> offers(Sql& sql, const Hosts& hosts, const HostRow& asking,
                                             const NetworkRow& network) const;

  Core& core_;
  TimePoint started_;
  std::map<std::string, TimePoint> asked_;  // by network: when its holder did last, since the start
};

}  // namespace godwit::cloud
