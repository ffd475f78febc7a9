// What the clouds last said about one cluster, and what follows from it. Pure.
#pragma once

#include "sky/records.h"
#include "wire/cluster.h"

#include <functional>
#include <map>
#include <string>

namespace godwit::sky {

// One cloud's word about one cluster, as of the last visit that reached it.
struct CloudSight {
  bool reached{false};                                  // at least once since sky started
  std::string problem;                                  // of the last visit; empty after a good one
  std::map<std::string, wire::InstanceView> instances;  // by id, of this cluster only
  std::map<std::string, std::string> refused;           // instances that it would not launch, and why
  std::string network_told;                             // what it acknowledged since sky started, in JSON
  std::string peers_told;
};
using Sights = std::map<std::string, CloudSight>;  // by cloud

// Who has the instance, as far as anybody knows: a cloud where it runs before one where it waits to arrive, before
// one that it left; then the higher version of its location. Null when no cloud knows it.
[[nodiscard]] const wire::InstanceView* newest_view(const Sights& sights, const MemberRecord& member);

// Follows the members to where they are, and notes readiness. True when `record` has changed.
[[nodiscard]] bool absorb_instances(ClusterRecord& record, const Sights& sights, WallTime now);

// Takes the locations that `cloud` says of its own hosts, where they are newer. A cloud's word on another cloud's hosts
// counts for nothing. True when `record` has changed.
// `believes`: what a cloud says of a member that it had not is proven; asked for higher versions alone.
using Believes = std::function<bool(const wire::Member& known, const wire::Location& said)>;
[[nodiscard]] bool absorb_locations(ClusterRecord& record, const std::string& cloud, const wire::Network& said,
                                    const Believes& believes);
// Takes which of its hosts `cloud` would join the network to a LAN by. The first cloud is named until it says that none
// of its hosts would: two would make a loop, so each waits for its name (cloud/lans.h). True when `record` has changed.
[[nodiscard]] bool absorb_uplink(ClusterRecord& record, const std::string& cloud, const wire::Network& said);

// `migrations`: those under way, by instance.
[[nodiscard]] wire::ClusterView view_of(const ClusterRecord& record, const Sights& sights,
                                        const std::map<std::string, std::string>& migrations);

}  // namespace godwit::sky
