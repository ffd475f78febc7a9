#include "cloud/observations.h"

#include "cloud/desired.h"
#include "cloud/instances.h"
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
  std::erase_if(seen.announced, [&](const auto& each) { return each.network != network; });
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
  limit(observation.announced, wire::kMostAnnounced);
  const auto before =
      last_.contains(host.name) ? last_[host.name].observation.announced : decltype(observation.announced){};
  for (const auto& each : observation.announced) {
    if (std::ranges::find(before, each) != before.end()) continue;
    core_.log().warn("host {}: {} announces itself there, though its record says another host", host.name,
                     each.instance.substr(0, 64));
  }
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
  forget_old();
  for (const auto& [host, last] : last_) {
    if (hosts.contains({core_.name(), host})) out.hosts.push_back(narrowed(last.observation, network, hosts));
    auto said = hints(out.network, host, last.observation);
    std::ranges::move(said, std::back_inserter(out.problems));
  }
  return out;
}

void Observations::forget_old() {
  const auto now = core_.clock().now();
  std::erase_if(last_, [&](const auto& each) { return now - each.second.heard > kObservationLife; });
}

// `network` has the newest records: a hint ends with the one that bears it out. One that moves now is on its way there.
std::vector<std::string> Observations::hints(const wire::Network& network, const std::string& host,
                                             const wire::Observation& seen) {
  std::vector<std::string> out;
  for (const auto& each : seen.announced) {
    const auto member = std::ranges::find(network.members, each.instance, &wire::Member::instance);
    if (each.network != network.id || member == network.members.end()) continue;
    if (member->location.cloud == core_.name() && member->location.host == host) continue;
    const auto moves =
        core_.database().read([&](Sql& sql) -> Result<bool> { return open_migration(sql, each.instance).has_value(); });
    if (moves && *moves) continue;
    out.push_back(wire::hint_text(*member, each, core_.name(), host));
  }
  return out;
}

void Observations::add_hints(wire::HostList& list) {
  forget_old();
  for (auto& host : list.hosts) {
    const auto last = last_.find(host.name);
    if (last == last_.end()) continue;
    std::set<std::string> networks;
    for (const auto& each : last->second.observation.announced) networks.insert(each.network);
    for (const auto& id : networks) {
      const auto network = core_.database().read([&](Sql& sql) -> Result<wire::Network> {
        auto row = select_one<NetworkRow>(sql, "id = $1", id);
        return row ? with_own_locations(sql, core_, std::move(row->body)) : wire::Network{};
      });
      if (!network) continue;
      for (const auto& each : hints(*network, host.name, last->second.observation)) {
        host.problem += (host.problem.empty() ? "" : "; ") + each;
      }
    }
  }
}

}  // namespace godwit::cloud
