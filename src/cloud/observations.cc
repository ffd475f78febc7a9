#include "cloud/observations.h"

#include "cloud/networks.h"

#include <algorithm>
#include <set>

namespace godwit::cloud {
namespace {

using HostName = std::pair<std::string, std::string>;  // cloud, host

// What others' networks are about is not this one's owner's.
wire::Observation narrowed(wire::Observation seen, const std::string& network, const std::set<HostName>& hosts) {
  std::erase_if(seen.pairs, [&](const auto& each) { return each.network != network; });
  std::erase_if(seen.flows, [&](const auto& each) { return each.network != network; });
  std::erase_if(seen.peers, [&](const auto& each) { return !hosts.contains({each.cloud, each.host}); });
  seen.other_packets = 0;
  seen.other_bytes = 0;
  return seen;
}

template <class T>
void limit(std::vector<T>& list, std::size_t most) {
  if (list.size() > most) list.erase(list.begin() + static_cast<std::ptrdiff_t>(most), list.end());
}

}  // namespace

Result<> Observations::take(const HostIdentity& host, wire::Observation observation) {
  observation.cloud = core_.name();
  observation.host = host.name;
  limit(observation.pairs, wire::kMostObservedPairs);
  limit(observation.flows, wire::kMostObservedFlows);
  limit(observation.peers, wire::kMostObservedPeers);
  last_[host.name] = {core_.clock().now(), std::move(observation)};
  return {};
}

Result<wire::NetworkObservation> Observations::get(const User& user, const std::string& network) {
  wire::NetworkObservation out;
  auto found = networks_.get(user, network);
  if (!found) return pass(found);
  out.network = std::move(*found);
  out.network.key.clear();
  std::set<HostName> hosts;
  for (const auto& each : out.network.members) hosts.insert({each.location.cloud, each.location.host});
  const auto now = core_.clock().now();
  std::erase_if(last_, [&](const auto& each) { return now - each.second.heard > kObservationLife; });
  for (const auto& [host, last] : last_) {
    if (hosts.contains({core_.name(), host})) out.hosts.push_back(narrowed(last.observation, network, hosts));
  }
  return out;
}

}  // namespace godwit::cloud
