#include "sky/sight.h"

#include <algorithm>
#include <tuple>

namespace godwit::sky {
namespace {

using wire::InstanceState;

constexpr std::size_t kProblemsShown = 16;

int presence(InstanceState state) {
  switch (state) {
    case InstanceState::running:
    case InstanceState::stopping:
    case InstanceState::stopped:
    case InstanceState::shutting_down:
    case InstanceState::in_doubt: return 2;
    case InstanceState::pending: return 1;
    case InstanceState::terminated:
    case InstanceState::moved: return 0;
  }
  return 0;
}

bool is_ready(const MemberRecord& member, const wire::InstanceView& view) {
  if (presence(view.state) == 0) return false;
  // A new owner has not heard the guest phone home: readiness is the guest's, and moves with it.
  return view.ready || (member.ready && (view.state == InstanceState::running || view.state == InstanceState::pending));
}

bool is_involved(const ClusterRecord& record, const std::string& cloud) {
  return std::find(record.clouds.begin(), record.clouds.end(), cloud) != record.clouds.end();
}

// The member as its newest view has it.
MemberRecord followed(const ClusterRecord& record, MemberRecord member, const wire::InstanceView& view) {
  member.launched = true;
  if (view.state == InstanceState::moved) {
    if (is_involved(record, view.moved_to)) member.cloud = view.moved_to;
    return member;
  }
  if (presence(view.state) == 2) member.cloud = view.cloud;
  member.ready = is_ready(member, view);
  return member;
}

// A launched member that its cloud, which was reached, does not list.
bool is_lost(const MemberRecord& member, const Sights& sights) {
  const auto sight = sights.find(member.cloud);
  return member.launched && sight != sights.end() && sight->second.reached && sight->second.problem.empty();
}

wire::ClusterMember member_view(const MemberRecord& member, const Sights& sights) {
  wire::ClusterMember out;
  out.name = member.name;
  out.instance = member.instance;
  out.cloud = member.cloud;
  out.roles = member.roles;
  out.ready = member.ready;
  const auto* view = newest_view(sights, member);
  if (view) {
    out.state = view->state;
    out.host = view->cloud == member.cloud ? view->host : "";
    out.problem = view->problem;
    if (view->state == InstanceState::terminated && !member.terminating && out.problem.empty()) {
      out.problem = "terminated at " + view->cloud + ", not by this sky";
    }
  } else if (is_lost(member, sights)) {
    out.state = InstanceState::terminated;
    out.problem = member.cloud + " does not know it any more";
  }
  const auto sight = sights.find(member.cloud);
  if (!view && sight != sights.end()) {
    const auto refused = sight->second.refused.find(member.instance);
    if (refused != sight->second.refused.end()) out.problem = refused->second;
  }
  return out;
}

wire::ClusterState state_of(const ClusterRecord& record, const wire::ClusterView& view) {
  if (record.deleting) return wire::ClusterState::deleting;
  const bool all_ready =
      std::all_of(view.members.begin(), view.members.end(), [](const wire::ClusterMember& each) { return each.ready; });
  if (!view.problems.empty()) return wire::ClusterState::degraded;
  if (all_ready) return wire::ClusterState::ready;
  return record.ready_ms ? wire::ClusterState::degraded : wire::ClusterState::creating;
}

}  // namespace

const wire::InstanceView* newest_view(const Sights& sights, const MemberRecord& member) {
  const wire::InstanceView* best = nullptr;
  const auto rank = [&](const wire::InstanceView& view) {
    return std::tuple(presence(view.state), view.location_version, view.cloud == member.cloud);
  };
  for (const auto& [cloud, sight] : sights) {
    const auto found = sight.instances.find(member.instance);
    if (found == sight.instances.end()) continue;
    if (!best || rank(found->second) > rank(*best)) best = &found->second;
  }
  return best;
}

bool absorb_instances(ClusterRecord& record, const Sights& sights, WallTime now) {
  bool changed = false;
  bool all_ready = !record.members.empty();
  for (auto& member : record.members) {
    if (const auto* view = newest_view(sights, member)) {
      auto after = followed(record, member, *view);
      changed = changed || after != member;
      member = std::move(after);
    } else if (member.ready && is_lost(member, sights)) {
      member.ready = false;
      changed = true;
    }
    all_ready = all_ready && member.ready;
  }
  if (all_ready && record.ready_ms == 0) {
    record.ready_ms = now.time_since_epoch().count();
    changed = true;
  }
  return changed;
}

bool absorb_uplink(ClusterRecord& record, const std::string& cloud, const wire::Network& said) {
  auto& known = record.network.uplink;
  if (!known.cloud.empty() && known.cloud != cloud) return false;
  auto now = said.uplink.cloud == cloud ? said.uplink : wire::Location{};
  if (now == known) return false;
  known = std::move(now);
  return true;
}

bool absorb_locations(ClusterRecord& record, const std::string& cloud, const wire::Network& said,
                      const Believes& believes) {
  bool changed = false;
  for (auto& member : record.network.members) {
    const auto found = std::find_if(said.members.begin(), said.members.end(), [&](const wire::Member& each) {
      return each.instance == member.instance && each.location.cloud == cloud;
    });
    if (found == said.members.end()) continue;
    const auto& newest = found->location;
    // Where it has not moved its cloud may still have a new record of the host, or another address.
    const bool renewed = newest.version == member.location.version && member.location.cloud == cloud;
    if (!(renewed && newest != member.location) && newest.version <= member.location.version) continue;
    if (!renewed && !believes(member, newest)) continue;
    member.location = newest;
    changed = true;
  }
  return changed;
}

wire::ClusterView view_of(const ClusterRecord& record, const Sights& sights,
                          const std::map<std::string, std::string>& migrations) {
  wire::ClusterView view;
  view.name = record.spec.name;
  view.network = record.network.id;
  view.cidr = record.network.cidr;
  view.domain = record.network.domain;
  view.created_ms = record.created_ms;
  if (record.ready_ms) view.ready_after_s = static_cast<double>(record.ready_ms - record.created_ms) / 1e3;
  for (const auto& cloud : record.clouds) {
    const auto sight = sights.find(cloud);
    if (sight != sights.end() && !sight->second.problem.empty()) view.problems.push_back(sight->second.problem);
  }
  for (const auto& member : record.members) {
    auto each = member_view(member, sights);
    const auto address = std::find_if(record.network.members.begin(), record.network.members.end(),
                                      [&](const wire::Member& other) { return other.instance == member.instance; });
    if (address != record.network.members.end()) each.ip = address->ip;
    const auto migration = migrations.find(member.instance);
    if (migration != migrations.end()) each.migration = migration->second;
    if (!each.problem.empty() && view.problems.size() < kProblemsShown) {
      view.problems.push_back(member.name + ": " + each.problem);
    }
    view.members.push_back(std::move(each));
  }
  view.state = state_of(record, view);
  return view;
}

}  // namespace godwit::sky
