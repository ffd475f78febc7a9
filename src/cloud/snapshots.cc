#include "cloud/snapshots.h"

#include "base/id.h"
#include "wire/image_names.h"

#include <algorithm>

namespace godwit::cloud {
namespace {

using wire::SnapshotPhase;

constexpr std::string_view kAtHost = "phase IN ('asked', 'copying', 'storing', 'sending')";
constexpr std::size_t kProblemBytes = 2048;

bool is_over(SnapshotPhase phase) { return phase == SnapshotPhase::done || phase == SnapshotPhase::failed; }

bool is_content(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::int64_t limit_ms(const Core& core) { return core.now_ms() - Millis{kSnapshotLimit}.count(); }

wire::SnapshotView view_of(const SnapshotRow& row, const std::string& cloud) {
  return {row.id, cloud, row.instance, row.name, row.phase, row.sha256, row.problem, row.asked_ms, row.ended_ms};
}

void fail_row(SnapshotRow& row, std::string problem, const Core& core) {
  row.phase = SnapshotPhase::failed;
  row.problem = problem.substr(0, kProblemBytes);
  row.ended_ms = core.now_ms();
  core.log().warn("snapshot {} of {}: {}", row.id, row.instance, row.problem);
}

// As the host says; what comes after `stored` is this cloud's part.
void take_up(SnapshotRow& row, const wire::SnapshotReport& said, const Core& core) {
  if (said.phase == SnapshotPhase::failed) return fail_row(row, said.problem, core);
  if (said.phase == SnapshotPhase::done) return;
  if (said.phase == SnapshotPhase::stored && !is_content(said.image)) return;
  row.phase = said.phase;
  row.sha256 = said.phase == SnapshotPhase::stored ? said.image : std::string();
  row.problem = said.problem.substr(0, kProblemBytes);
}

}  // namespace

// ---- what its user asks

Result<wire::SnapshotView> Snapshots::take(const User& user, const std::string& instance,
                                           const wire::SnapshotRequest& request) {
  if (!is_id("snap", request.id)) {
    return fail(Errc::invalid_argument, "snapshot: id must be snap- and 17 hex digits");
  }
  if (!wire::is_image_name(request.name)) {
    return fail(Errc::invalid_argument, "snapshot: image \"{:.64}\": the name must be {}", request.name,
                wire::kImageNameRule);
  }
  const auto taken = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::SnapshotView> {
    static_cast<void>(expire_snapshots(sql, core_));
    if (const auto known = select_one<SnapshotRow>(sql, "id = $1", request.id)) {
      const bool same = known->tenant == user.tenant && known->instance == instance && known->name == request.name;
      if (same) return view_of(*known, core_.name());
      return fail(Errc::conflict, "snapshot of {}: the id {} is taken; draw another", instance, request.id);
    }
    const auto row = admit(sql, user, instance, request);
    if (!row) return pass(row);
    put(sql, *row);
    return view_of(*row, core_.name());
  });
  if (taken) core_.announce_change();
  return taken;
}

Result<SnapshotRow> Snapshots::admit(Sql& sql, const User& user, const std::string& id,
                                     const wire::SnapshotRequest& request) const {
  const auto instance = own_instance(sql, user, id);
  if (!instance) return pass(instance);
  if (core_.image_port() == 0) return fail(Errc::unsupported, "snapshot of {}: {} keeps no images", id, core_.name());
  if (instance->state == wire::InstanceState::moved) {
    return fail(Errc::conflict, "snapshot of {}: it has moved to {}; ask there", id, instance->moved_to);
  }
  if (const auto open = open_migration(sql, id)) {
    return fail(Errc::conflict, "snapshot of {}: its migration {} is under way; try again when it is over", id,
                open->id);
  }
  if (instance->state != wire::InstanceState::running && instance->state != wire::InstanceState::stopped) {
    return fail(Errc::conflict, "snapshot of {}: it is {}, and only a running or stopped instance's disk is taken", id,
                boost::describe::enum_to_string(instance->state, "?"));
  }
  if (const auto other = copying_snapshot(sql, core_, id)) {
    return fail(Errc::conflict, "snapshot of {}: {} is being taken of it; try again in a moment", id, other->id);
  }
  const bool taken =
      select_one<ImageRow>(sql, "tenant = $1 AND name = $2", user.tenant, request.name) ||
      select_one<SnapshotRow>(sql, "tenant = $1 AND name = $2 AND ended_ms = 0", user.tenant, request.name);
  if (taken) {
    return fail(Errc::conflict, "snapshot of {}: there is an image {} at {} already (godwit image rm, or another name)",
                id, request.name, core_.name());
  }
  if (select<SnapshotRow>(sql, "tenant = $1 AND ended_ms = 0", user.tenant).size() >= kSnapshotsPerTenant) {
    return fail(Errc::exhausted, "snapshot of {}: {} are under way; wait for one", id, kSnapshotsPerTenant);
  }
  SnapshotRow row;
  row.id = request.id;
  row.tenant = user.tenant;
  row.instance = id;
  row.host = instance->host;
  row.name = request.name;
  row.asked_ms = core_.now_ms();
  return row;
}

Result<wire::SnapshotList> Snapshots::list(const User& user) const {
  return core_.database().read([&](Sql& sql) -> Result<wire::SnapshotList> {
    wire::SnapshotList out;
    for (const auto& row : select<SnapshotRow>(sql, "tenant = $1 ORDER BY asked_ms, id", user.tenant)) {
      out.snapshots.push_back(view_of(row, core_.name()));
    }
    return out;
  });
}

// ---- what hosts do

Result<> Snapshots::check_awaited(const HostIdentity& host) const {
  const auto rows = core_.database().read([&](Sql& sql) -> Result<std::vector<SnapshotRow>> {
    return select<SnapshotRow>(sql, "host = $1 AND " + std::string(kAtHost), host.name);
  });
  if (!rows) return pass(rows);
  if (!rows->empty()) return {};
  return fail(Errc::denied, "host {}: {} has asked it for no snapshot", host.name, core_.name());
}

std::optional<SnapshotRow> copying_snapshot(Sql& sql, const Core& core, const std::string& instance) {
  return select_one<SnapshotRow>(sql, "instance = $1 AND phase IN ('asked', 'copying') AND asked_ms > $2", instance,
                                 limit_ms(core));
}

std::vector<wire::DesiredSnapshot> desired_snapshots(Sql& sql, const std::string& host) {
  std::vector<wire::DesiredSnapshot> out;
  // Stored ones too: the host keeps the content until it has its name.
  for (const auto& row : select<SnapshotRow>(sql, "host = $1 AND ended_ms = 0 ORDER BY asked_ms, id", host)) {
    if (out.size() < wire::kSnapshotsPerHost) out.push_back({row.id, row.instance});
  }
  return out;
}

bool apply_snapshots(Sql& sql, Core& core, const HostRow& host) {
  bool changed = expire_snapshots(sql, core);
  for (const auto& said : host.report.snapshots) {
    auto row = select_one<SnapshotRow>(sql, "id = $1 AND host = $2 AND " + std::string(kAtHost), said.id, host.name);
    if (!row) continue;
    const auto before = wire::encode(view_of(*row, core.name()));
    take_up(*row, said, core);
    if (wire::encode(view_of(*row, core.name())) == before) continue;
    put(sql, *row);
    changed = true;
  }
  return changed;
}

bool expire_snapshots(Sql& sql, const Core& core) {
  auto rows = select<SnapshotRow>(sql, "asked_ms <= $1 AND " + std::string(kAtHost), limit_ms(core));
  for (auto& row : rows) {
    fail_row(row,
             fmt::format("host {} has not brought it within {} h: {}", row.host, kSnapshotLimit.count(),
                         row.problem.empty() ? "it says nothing" : row.problem),
             core);
    put(sql, row);
  }
  return !rows.empty();
}

// ---- names

Result<std::vector<SnapshotRow>> Snapshots::unnamed() const {
  return core_.database().read([](Sql& sql) -> Result<std::vector<SnapshotRow>> {
    return select<SnapshotRow>(sql, "phase = 'stored' ORDER BY asked_ms, id");
  });
}

Result<> Snapshots::end(const std::string& id, const Result<>& named) {
  const auto ended = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    auto row = select_one<SnapshotRow>(sql, "id = $1", id);
    if (!row || is_over(row->phase)) return {};
    if (!named) {
      fail_row(*row, named.error().message, core_);
    } else {
      row->phase = SnapshotPhase::done;
      row->problem.clear();
      row->ended_ms = core_.now_ms();
      core_.log().info("snapshot {} of {} is image {}", row->id, row->instance, row->name);
    }
    put(sql, *row);
    return {};
  });
  if (ended) core_.announce_change();
  return ended;
}

}  // namespace godwit::cloud
