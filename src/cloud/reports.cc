#include "cloud/reports.h"

#include "cloud/content.h"
#include "cloud/desired.h"
#include "cloud/snapshots.h"

#include <algorithm>
#include <tuple>

namespace godwit::cloud {
namespace {

using wire::Decision;
using wire::DesiredInstanceState;
using wire::InstanceState;
using wire::MigrationPhase;
using wire::MigrationRole;

constexpr std::size_t kProblemBytes = 2048;
// A destination that has no word of a migration for this long after its ticket was redeemed has dropped it.
constexpr Seconds kDroppedAfter{30};

bool says_owned(MigrationPhase phase) {
  return phase == MigrationPhase::post_copy || phase == MigrationPhase::owned || phase == MigrationPhase::completed;
}

const wire::InstanceReport* find(const wire::HostReport& report, const std::string& instance) {
  const auto found = std::find_if(report.instances.begin(), report.instances.end(),
                                  [&](const wire::InstanceReport& each) { return each.id == instance; });
  return found == report.instances.end() ? nullptr : &*found;
}

// The agent's report, with the cloud's own word on which migration it is of.
wire::MigrationReport merged(const MigrationRow& row, wire::MigrationReport said) {
  said.id = row.id;
  said.instance = row.instance;
  said.role = row.role;
  said.from_cloud = row.report.from_cloud;
  said.from_host = row.report.from_host;
  said.to_cloud = row.report.to_cloud;
  said.to_host = row.report.to_host;
  if (said.started_ms == 0) said.started_ms = row.report.started_ms;
  said.error = said.error.substr(0, kProblemBytes);
  if (said.cost.tried.size() > 16) said.cost.tried.resize(16);
  return said;
}

void leave(Sql& sql, Core& core, const MigrationRow& row) {
  auto instance = select_one<InstanceRow>(sql, "id = $1", row.instance);
  // Inside one cloud the destination may have reported first, and the instance is there already.
  if (!instance || instance->host != row.host) return;
  if (row.peer_cloud == core.name()) {
    instance->host = row.peer_host;
  } else {
    mark_moved(*instance, row.peer_cloud, core.now_ms());
  }
  put(sql, *instance);
}

void conflict(Core& core, MigrationRow& row, const std::string& why) {
  row.report.phase = MigrationPhase::in_doubt;
  row.report.error = why;
  core.log().error("migration {}: {}", row.id, why);
}

// The source's agent reports the end only when it is decided (two of three votes); it can't contradict a vote that this
// cloud would not have cast without the agent's own.
void apply_source(Sql& sql, Core& core, MigrationRow& row) {
  const auto phase = row.report.phase;
  if (phase == MigrationPhase::completed) {
    if (row.fence == Decision::aborted) {
      conflict(core, row, "its agent gave the instance away after a person had fenced the destination");
      return;
    }
    if (row.vote == Decision::none) row.vote = Decision::released;
    row.closed_ms = core.now_ms();
    leave(sql, core, row);
  } else if (phase == MigrationPhase::aborted) {
    if (row.vote == Decision::released && row.fence != Decision::aborted) {
      conflict(core, row, "its agent says aborted after it had voted released, and this cloud with it");
      return;
    }
    if (row.vote == Decision::none) row.vote = Decision::aborted;
    row.closed_ms = core.now_ms();
  }
}

void take_over(Sql& sql, Core& core, MigrationRow& row) {
  InstanceRow instance;
  const auto before = select_one<InstanceRow>(sql, "id = $1", row.instance);
  if (before) instance = *before;
  instance.id = row.instance;
  instance.tenant = row.tenant;
  instance.host = row.host;
  instance.network = row.network;
  instance.state = InstanceState::running;
  instance.wanted = DesiredInstanceState::running;
  instance.spec = row.spec;
  instance.vcpus = row.vcpus;
  instance.memory_mib = row.memory_mib;
  instance.disk_gib = row.disk_gib;
  instance.location_version = std::max(instance.location_version, row.location_version);
  instance.problem.clear();
  if (!before || before->launched_ms == 0) instance.launched_ms = core.now_ms();
  instance.moved_to.clear();
  instance.gone_generation = 0;
  instance.ended_ms = 0;
  put(sql, instance);
  row.owned = true;
}

void apply_destination(Sql& sql, Core& core, MigrationRow& row) {
  const auto phase = row.report.phase;
  if (says_owned(phase)) {
    if (row.fence == Decision::aborted) {
      conflict(core, row, "its agent took the instance after a person had fenced this side");
      return;
    }
    if (!row.owned) take_over(sql, core, row);
    if (phase == MigrationPhase::completed) row.closed_ms = core.now_ms();
  } else if (phase == MigrationPhase::aborted) {
    if (row.owned) {
      conflict(core, row, "its agent says aborted after it had owned the instance");
      return;
    }
    row.closed_ms = core.now_ms();
  }
}

bool apply_migration(Sql& sql, Core& core, const HostRow& host, const wire::MigrationReport& said) {
  auto row = select_one<MigrationRow>(sql, "id = $1 AND role = $2 AND host = $3", said.id,
                                      boost::describe::enum_to_string(said.role, ""), host.name);
  if (!row) return false;
  // A destination that was given up and turns out to own the instance after all is believed: it is what runs.
  const bool revived = row->closed_ms != 0 && row->role == MigrationRole::destination && !row->owned &&
                       says_owned(said.phase) && row->fence != Decision::aborted;
  if (row->closed_ms != 0 && !revived) return false;
  const auto before = wire::encode(row->report);
  const bool was_owned = row->owned;
  row->report = merged(*row, said);
  row->closed_ms = 0;
  if (const auto* instance = find(host.report, row->instance)) {
    row->location_version = std::max(row->location_version, instance->location_version);
  }
  if (row->role == MigrationRole::source) {
    apply_source(sql, core, *row);
  } else {
    apply_destination(sql, core, *row);
  }
  if (row->closed_ms == 0 && row->owned == was_owned && wire::encode(row->report) == before) return false;
  put(sql, *row);
  if (row->closed_ms != 0 || row->owned != was_owned) {
    core.log().info("migration {}: {}, says host {}", row->id, boost::describe::enum_to_string(row->report.phase, "?"),
                    host.name);
  }
  return true;
}

// An arriving instance of which the agent keeps no record: it has not voted, so it never will (a vote is written down
// before it is told, and told until this cloud has heard it).
bool drop_if_unknown(Sql& sql, Core& core, const HostRow& host, MigrationRow& row) {
  const auto known = std::any_of(host.report.migrations.begin(), host.report.migrations.end(),
                                 [&](const wire::MigrationReport& each) { return each.id == row.id; });
  const auto age = Millis{core.now_ms() - row.opened_ms};
  if (known || find(host.report, row.instance) || age < kDroppedAfter || host.report.seen_generation < row.generation) {
    return false;
  }
  row.report.phase = MigrationPhase::aborted;
  row.report.error = "host " + host.name + " has no record of it";
  row.closed_ms = core.now_ms();
  put(sql, row);
  return true;
}

InstanceState state_of(const InstanceRow& row, InstanceState reported) {
  if (row.wanted == DesiredInstanceState::absent) return InstanceState::shutting_down;
  // Only a migration takes an instance away, and only its user ends it.
  const bool ends = reported == InstanceState::moved || reported == InstanceState::terminated;
  return ends ? row.state : reported;
}

void apply_instance(InstanceRow& row, const HostRow& host, std::int64_t now_ms) {
  const auto* said = find(host.report, row.id);
  const bool absent = row.wanted == DesiredInstanceState::absent;
  const bool gone =
      said ? said->state == InstanceState::terminated : host.report.seen_generation >= row.gone_generation;
  if (absent && gone) {
    row.state = InstanceState::terminated;
    row.ready = false;
    row.problem.clear();
    row.ended_ms = now_ms;
    return;
  }
  if (!said) {
    // Before the agent has seen the desired state that has it, it can't.
    const bool must_know = row.state != InstanceState::pending && host.report.seen_generation == host.generation;
    if (must_know && !absent) row.problem = "host " + host.name + " does not report it any more";
    return;
  }
  row.state = state_of(row, said->state);
  row.ready = said->ready;
  row.location_version = std::max(row.location_version, said->location_version);
  row.problem = said->problem.substr(0, kProblemBytes);
  if (said->state == InstanceState::terminated && row.problem.empty()) row.problem = "host " + host.name + " lost it";
}

}  // namespace

void mark_moved(InstanceRow& row, const std::string& to_cloud, std::int64_t now_ms) {
  row.state = InstanceState::moved;
  row.moved_to = to_cloud;
  row.ready = false;
  row.problem.clear();
  row.ended_ms = now_ms;
}

bool awaits_arrival(Sql& sql, const std::string& host) {
  return !sql.rows("SELECT id FROM migrations WHERE host = $1 AND role = 'destination' AND closed_ms = 0 AND owned = 0",
                   host)
              .empty();
}

bool apply_report(Sql& sql, Core& core, const HostRow& host) {
  bool changed = apply_content_report(sql, host);
  changed |= apply_snapshots(sql, core, host);
  for (const auto& said : host.report.migrations) changed |= apply_migration(sql, core, host, said);
  for (auto& row : select<MigrationRow>(sql, "host = $1 AND role = 'destination' AND closed_ms = 0", host.name)) {
    if (!row.owned) changed |= drop_if_unknown(sql, core, host, row);
  }
  for (auto& row : select<InstanceRow>(sql, "host = $1 AND state NOT IN ('terminated', 'moved')", host.name)) {
    const auto seen = [&] { return std::tuple(row.state, row.ready, row.location_version, row.problem); };
    const auto before = seen();
    apply_instance(row, host, core.now_ms());
    if (seen() == before) continue;
    put(sql, row);
    changed = true;
  }
  return changed;
}

}  // namespace godwit::cloud
