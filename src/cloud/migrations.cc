#include "cloud/migrations.h"

#include "base/id.h"
#include "cloud/location_records.h"
#include "cloud/reports.h"
#include "cloud/snapshots.h"
#include "crypto/ticket.h"

#include <boost/asio/ip/address.hpp>

namespace godwit::cloud {
namespace {

using wire::Decision;
using wire::MigrationPhase;
using wire::MigrationRole;

Result<> validate(const std::string& instance, const wire::MigrateRequest& request) {
  const auto bad = [&](std::string_view rule) {
    return fail(Errc::invalid_argument, "migrate {}: {}", is_id("i", instance) ? instance : "?", rule);
  };
  const auto& to = request.grant.destination;
  if (!is_id("mig", request.migration)) return bad("migration must be mig- and 17 hex digits");
  if (!is_label(request.destination_cloud)) return bad("destination_cloud must be a DNS label");
  if (request.grant.ticket.empty() || request.grant.ticket.size() > crypto::kTicketBytes) {
    return bad("grant.ticket must be a ticket");
  }
  if (to.cloud != request.destination_cloud) return bad("grant.destination.cloud must be destination_cloud");
  if (!is_label(to.host) || to.certificate_name != certificate_name(to.host, to.cloud)) {
    return bad("grant.destination must name a host of the destination's cloud");
  }
  boost::system::error_code error;
  boost::asio::ip::make_address(to.ip, error);
  if (error || to.port == 0) return bad("grant.destination must have a numeric IP address and a port");
  return {};
}

// One row, or the tenant's user is told that there is none.
Result<MigrationRow> own_migration(Sql& sql, const User& user, const std::string& id) {
  auto row = select_one<MigrationRow>(sql, "id = $1 AND tenant = $2 ORDER BY role DESC LIMIT 1", id, user.tenant);
  if (!row) return fail(Errc::not_found, "migration {}: there is none here", is_id("mig", id) ? id : "?");
  return std::move(*row);
}

// What a person said outranks the vote: it is only asked for where votes can't be had.
Decision word_of(const MigrationRow& row) { return row.fence != Decision::none ? row.fence : row.vote; }

Decision decision_for(MigrationRole winner) {
  return winner == MigrationRole::source ? Decision::aborted : Decision::released;
}

wire::MigrationReport first_report(const MigrationRow& row, const std::string& cloud) {
  wire::MigrationReport report;
  report.id = row.id;
  report.instance = row.instance;
  report.role = row.role;
  report.from_cloud = cloud;
  report.from_host = row.host;
  report.to_cloud = row.peer_cloud;
  report.to_host = row.peer_host;
  report.started_ms = row.opened_ms;
  return report;
}

}  // namespace

// ---- orders

Result<wire::MigrationReport> Migrations::start(const User& user, const std::string& instance,
                                                const wire::MigrateRequest& request) {
  const auto valid = validate(instance, request);
  if (!valid) return pass(valid);
  const auto started = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::MigrationReport> {
    if (const auto known = select_one<MigrationRow>(sql, "id = $1 AND role = 'source'", request.migration)) {
      const bool same =
          known->tenant == user.tenant && known->instance == instance && known->granted.ticket == request.grant.ticket;
      if (same) return known->report;
      return fail(Errc::conflict, "migrate {}: the id {} is taken; draw another", instance, request.migration);
    }
    const auto row = admit(sql, user, instance, request);
    if (!row) return pass(row);
    put(sql, *row);
    return row->report;
  });
  if (started) {
    core_.log().info("migration {}: {} is to go to {}", request.migration, instance, request.destination_cloud);
    core_.announce_change();
  }
  return started;
}

Result<MigrationRow> Migrations::admit(Sql& sql, const User& user, const std::string& id,
                                       const wire::MigrateRequest& request) const {
  const auto instance = own_instance(sql, user, id);
  if (!instance) return pass(instance);
  if (instance->state == wire::InstanceState::moved) {
    return fail(Errc::conflict, "migrate {}: it has moved to {}; ask there", id, instance->moved_to);
  }
  if (const auto open = open_migration(sql, id)) {
    return fail(Errc::conflict, "migrate {}: its migration {} is under way", id, open->id);
  }
  if (const auto snapshot = copying_snapshot(sql, core_, id)) {
    return fail(Errc::conflict, "migrate {}: its disk is being copied for the image {} ({}); try again in a moment", id,
                snapshot->name, snapshot->id);
  }
  if (instance->state != wire::InstanceState::running) {
    return fail(Errc::conflict, "migrate {}: it is {}, and only a running instance can move", id,
                boost::describe::enum_to_string(instance->state, "?"));
  }
  const auto& to = request.destination_cloud;
  const auto introduced = select_one<NetworkPeerRow>(sql, "network = $1 AND cloud = $2", instance->network, to);
  if (to != core_.name() && !introduced) {
    return fail(Errc::conflict, "migrate {}: network {} has not introduced cloud {} here (PUT /v1/networks/ID/peers)",
                id, instance->network, to);
  }
  MigrationRow row;
  row.id = request.migration;
  row.role = MigrationRole::source;
  row.instance = id;
  row.tenant = user.tenant;
  row.host = instance->host;
  row.network = instance->network;
  row.peer_cloud = to;
  row.peer_host = request.grant.destination.host;
  row.granted = request.grant;
  row.options = request.options;
  row.opened_ms = core_.now_ms();
  row.report = first_report(row, core_.name());
  if (instance->location_version == 0) {
    return fail(Errc::conflict, "migrate {}: its agent has not said yet where it is; try again in a moment", id);
  }
  auto hand_offs = hand_off(sql, core_, *instance, to, row.peer_host);
  if (!hand_offs) return fail(hand_offs, "migrate " + id);
  row.hand_offs = std::move(*hand_offs);
  return row;
}

Result<wire::MigrationReport> Migrations::get(const User& user, const std::string& id) const {
  return core_.database().read([&](Sql& sql) -> Result<wire::MigrationReport> {
    const auto row = own_migration(sql, user, id);
    if (!row) return pass(row);
    auto report = row->report;
    if (row->closed_ms == 0 && !hosts_.alive(row->host) && report.error.empty()) {
      report.error = fmt::format("host {} of {} has not been heard from for {:.0f} s", row->host, core_.name(),
                                 to_s(hosts_.silence(row->host)));
    }
    return report;
  });
}

Result<bool> Migrations::ended(const User& user, const std::string& id) const {
  return core_.database().read([&](Sql& sql) -> Result<bool> {
    const auto row = own_migration(sql, user, id);
    if (!row) return pass(row);
    return row->closed_ms != 0;
  });
}

Result<wire::MigrationReport> Migrations::cancel(const User& user, const std::string& id) {
  const auto cancelled = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::MigrationReport> {
    auto row = own_migration(sql, user, id);
    if (!row) return pass(row);
    if (row->role == MigrationRole::destination) {
      return fail(Errc::conflict, "cancel {}: it comes from {}; cancel it there", id, row->peer_cloud);
    }
    if (row->closed_ms != 0) {
      return fail(Errc::conflict, "cancel {}: it has ended ({})", id,
                  boost::describe::enum_to_string(row->report.phase, "?"));
    }
    row->cancel = true;
    put(sql, *row);
    return row->report;
  });
  if (cancelled) core_.announce_change();
  return cancelled;
}

// ---- the vote

Decision Migrations::cast(Sql& sql, MigrationRow row, Decision vote) {
  // The condition stands in the statement as well: one vote, whoever else writes to this database.
  if (word_of(row) == Decision::none) {
    sql.run("UPDATE migrations SET vote = $1 WHERE id = $2 AND role = 'source' AND vote = 'none'",
            boost::describe::enum_to_string(vote, ""), row.id);
    core_.log().info("migration {}: votes {}", row.id, boost::describe::enum_to_string(vote, ""));
  }
  return word_of(select_one<MigrationRow>(sql, "id = $1 AND role = 'source'", row.id).value_or(row));
}

Result<MigrationRow> Migrations::of_source(Sql& sql, const HostIdentity& caller, const std::string& id) const {
  auto row = select_one<MigrationRow>(sql, "id = $1 AND role = 'source'", id);
  if (!row) return fail(Errc::not_found, "migration {}: none leaves {}", is_id("mig", id) ? id : "?", core_.name());
  if (row->host != caller.name) {
    return fail(Errc::denied, "migration {}: it leaves from host {}, not {}", id, row->host, caller.name);
  }
  return std::move(*row);
}

Result<wire::DecisionAnswer> Migrations::release(const HostIdentity& caller, const std::string& id) {
  const auto answer = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::DecisionAnswer> {
    const auto row = of_source(sql, caller, id);
    if (!row) return pass(row);
    return wire::DecisionAnswer{cast(sql, *row, Decision::released)};
  });
  if (answer) core_.announce_change();
  return answer;
}

Result<wire::DecisionAnswer> Migrations::abort(const HostIdentity& caller, const std::string& id) {
  const auto answer = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::DecisionAnswer> {
    const auto row = of_source(sql, caller, id);
    if (!row) return pass(row);
    return wire::DecisionAnswer{cast(sql, *row, Decision::aborted)};
  });
  if (answer) core_.announce_change();
  return answer;
}

Result<wire::DecisionAnswer> Migrations::resolve(const std::optional<sys::PeerIdentity>& caller,
                                                 const std::string& id) {
  if (!caller) return fail(Errc::not_authentic, "resolve {}: the destination's client certificate is needed", id);
  const auto answer = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::DecisionAnswer> {
    const auto row = select_one<MigrationRow>(sql, "id = $1 AND role = 'source'", id);
    const bool destination =
        row && caller->cloud == row->peer_cloud && caller->name == row->granted.destination.certificate_name;
    // Who is not the destination learns nothing, not even whether there is such a migration.
    if (!destination) {
      return fail(Errc::denied, "migration {}: {} is not its destination", is_id("mig", id) ? id : "?", caller->name);
    }
    const bool introduced =
        row->peer_cloud == core_.name() ||
        select_one<NetworkPeerRow>(sql, "network = $1 AND cloud = $2", row->network, row->peer_cloud);
    if (!introduced) {
      return fail(Errc::denied, "migration {}: its network does not know cloud {} any more", id, row->peer_cloud);
    }
    wire::DecisionAnswer said{cast(sql, *row, Decision::aborted)};
    if (said.decision == Decision::released) said.hand_offs = row->hand_offs;
    return said;
  });
  if (answer) core_.announce_change();
  return answer;
}

// ---- a person's word

Result<> Migrations::fence_source(Sql& sql, MigrationRow& row, MigrationRole winner) {
  if (winner == MigrationRole::source) {
    if (row.vote == Decision::none) row.vote = Decision::aborted;
    return {};
  }
  const auto phase = row.report.phase;
  const bool stands_still =
      phase == MigrationPhase::released || phase == MigrationPhase::post_copy || phase == MigrationPhase::in_doubt;
  if (hosts_.alive(row.host) && !stands_still) {
    return fail(Errc::conflict,
                "fence {}: the source's host {} is alive, and may run it (cancel the migration, or shut "
                "the host down first)",
                row.instance, row.host);
  }
  if (row.vote == Decision::none) row.vote = Decision::released;
  auto instance = select_one<InstanceRow>(sql, "id = $1", row.instance);
  if (instance && instance->host == row.host && row.peer_cloud != core_.name()) {
    mark_moved(*instance, row.peer_cloud, core_.now_ms());
    put(sql, *instance);
  }
  return {};
}

Result<> Migrations::fence_destination(MigrationRow& row, MigrationRole winner) const {
  if (winner == MigrationRole::source && row.owned) {
    return fail(Errc::conflict, "fence {}: it is decided already, host {} of {} has it", row.instance, row.host,
                core_.name());
  }
  return {};
}

Result<wire::MigrationReport> Migrations::fence(const User& user, const std::string& instance,
                                                const wire::FenceRequest& request) {
  const auto decision = decision_for(request.winner);
  const auto fenced = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::MigrationReport> {
    auto row = own_migration(sql, user, request.migration);
    if (!row) return pass(row);
    if (row->instance != instance) {
      return fail(Errc::not_found, "fence: migration {} is of another instance", row->id);
    }
    if (row->fence == decision) return row->report;
    if (row->fence != Decision::none || row->closed_ms != 0) {
      return fail(Errc::conflict, "fence {}: migration {} is decided already ({})", instance, row->id,
                  row->fence != Decision::none ? "fenced the other way"
                                               : boost::describe::enum_to_string(row->report.phase, "?"));
    }
    const auto allowed = row->role == MigrationRole::source ? fence_source(sql, *row, request.winner)
                                                            : fence_destination(*row, request.winner);
    if (!allowed) return pass(allowed);
    row->fence = decision;
    put(sql, *row);
    return row->report;
  });
  if (fenced) {
    core_.log().warn("migration {}: fenced by {}: the {} has {}", request.migration, user.tenant,
                     boost::describe::enum_to_string(request.winner, "?"), instance);
    core_.announce_change();
  }
  return fenced;
}

}  // namespace godwit::cloud
