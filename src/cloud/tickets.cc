#include "cloud/tickets.h"

#include "base/id.h"
#include "cloud/desired.h"
#include "cloud/host_records.h"
#include "cloud/image_rights.h"
#include "cloud/location_records.h"
#include "crypto/digest.h"

#include <fmt/chrono.h>

namespace godwit::cloud {
namespace {

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string utc(std::int64_t unix_ms) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000)));
}

Result<> validate(const wire::TicketRequest& request) {
  const auto bad = [](std::string_view rule) { return fail(Errc::invalid_argument, "ticket: {}", rule); };
  if (!is_id("mig", request.migration)) return bad("migration must be mig- and 17 hex digits");
  if (!is_label(request.source_cloud)) return bad("source_cloud must be a DNS label");
  if (!is_sha256(request.source_host_key)) return bad("source_host_key must be 64 hex digits");
  if (!request.destination_host.empty() && !is_label(request.destination_host)) {
    return bad("destination_host must be a DNS label");
  }
  const auto& spec = request.spec;
  if (spec.machine_type.empty() || spec.cpu_model.empty() || spec.accelerator.empty()) {
    return bad("spec must say machine_type, cpu_model and accelerator: it runs somewhere already");
  }
  const auto valid = wire::validate(spec);
  if (!valid) return fail(valid, "ticket: spec");
  return {};
}

// A spec says what its type is; a tenant must not get a large guest by the name of a small one, nor the reverse.
Result<> check_shape(const wire::InstanceSpec& spec) {
  const auto type = wire::find_instance_type(spec.type);
  if (!type) return fail(type, "ticket for " + spec.id);
  if (type->vcpus == spec.vcpus && type->memory_mib == spec.memory_mib && type->disk_gib == spec.disk_gib) return {};
  return fail(Errc::invalid_argument, "ticket for {}: a {} has {} vCPU, {} MiB and {} GiB, not {}, {} and {}", spec.id,
              spec.type, type->vcpus, type->memory_mib, type->disk_gib, spec.vcpus, spec.memory_mib, spec.disk_gib);
}

// Of what was heard of it here; 0 where nothing was.
std::uint64_t known_version(Sql& sql, const TicketRow& ticket, const NetworkRow& network) {
  const auto here = select_one<InstanceRow>(sql, "id = $1", ticket.instance);
  auto version = here ? here->location_version : 0;
  for (const auto& member : network.body.members) {
    if (member.instance == ticket.instance) version = std::max(version, member.location.version);
  }
  return version;
}

// One more than the source has, and our word that it may be here with that. Where the source doesn't say, one more than
// what was heard of.
Result<wire::RedeemAnswer> answer(Sql& sql, Core& core, const TicketRow& ticket, std::uint64_t source_version) {
  wire::RedeemAnswer out{ticket.claims};
  const auto network = select_one<NetworkRow>(sql, "id = $1", ticket.network);
  if (!network) return out;
  const auto known = known_version(sql, ticket, *network);
  if (source_version != 0 && source_version < known) {
    return fail(Errc::conflict, "ticket {}: {} is at the source with version {}, and was elsewhere since, with {}",
                ticket.id, ticket.instance, source_version, known);
  }
  if (source_version == 0 && known == 0) return out;
  out.location_version = std::max(source_version, known) + 1;
  auto record = location_if_handed_off(core, network->body, ticket.instance, ticket.host, out.location_version);
  if (!record) return fail(record, "ticket " + ticket.id);
  out.location_record = std::move(*record);
  return out;
}

MigrationRow arrival_of(const TicketRow& ticket, std::int64_t now_ms) {
  MigrationRow row;
  row.id = ticket.migration;
  row.role = wire::MigrationRole::destination;
  row.instance = ticket.instance;
  row.tenant = ticket.tenant;
  row.host = ticket.host;
  row.network = ticket.network;
  row.peer_cloud = ticket.claims.source_cloud;
  row.peer_key = ticket.claims.source_host_key;
  row.spec = ticket.spec;
  row.vcpus = ticket.vcpus;
  row.memory_mib = ticket.memory_mib;
  row.disk_gib = ticket.disk_gib;
  row.opened_ms = now_ms;
  auto& report = row.report;
  report.id = row.id;
  report.instance = row.instance;
  report.role = row.role;
  report.phase = wire::MigrationPhase::connecting;
  report.from_cloud = row.peer_cloud;
  report.to_cloud = ticket.claims.issuer;
  report.to_host = ticket.host;
  report.started_ms = now_ms;
  return row;
}

}  // namespace

std::string spec_digest(const wire::InstanceSpec& spec) { return crypto::sha256_hex(as_bytes(wire::encode(spec))); }

// ---- issue

Result<wire::TicketGrant> Tickets::issue(const User& user, const wire::TicketRequest& request) {
  const auto valid = validate(request);
  if (!valid) return pass(valid);
  const auto digest = crypto::sha256_hex(as_bytes(wire::encode(request)));
  const auto granted = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::TicketGrant> {
    if (const auto known = select_one<TicketRow>(sql, "migration = $1", request.migration)) {
      const bool same = known->tenant == user.tenant && known->request_sha256 == digest;
      const bool good = known->used_ms == 0 && !known->withdrawn && known->expires_ms > core_.now_ms();
      if (same && good) return known->granted;
      return fail(Errc::conflict, "ticket: migration {} had its ticket; draw another id", request.migration);
    }
    const auto admitted = admissible(sql, user, request);
    if (!admitted) return pass(admitted);
    sql.run("UPDATE tickets SET withdrawn = 1 WHERE instance = $1 AND tenant = $2 AND used_ms = 0", request.spec.id,
            user.tenant);
    const auto host = place(sql, user, request);
    if (!host) return pass(host);
    const auto row = make(sql, user, request, *host);
    if (!row) return pass(row);
    put(sql, *row);
    return row->granted;
  });
  if (granted) {
    core_.log().info("migration {}: ticket for {} of {} to host {}", request.migration, request.spec.id,
                     request.source_cloud, granted->destination.host);
    core_.announce_change();
  }
  return granted;
}

Result<> Tickets::admissible(Sql& sql, const User& user, const wire::TicketRequest& request) const {
  const auto& spec = request.spec;
  if (spec.tenant != user.tenant) {
    return fail(Errc::denied, "ticket for {}: it is of tenant {}, the bearer token of {}", spec.id, spec.tenant,
                user.tenant);
  }
  const auto shape = check_shape(spec);
  if (!shape) return shape;
  const auto network = own_network(sql, user, spec.interface.network);
  if (!network) return fail(network, "ticket for " + spec.id);
  const auto introduced =
      select_one<NetworkPeerRow>(sql, "network = $1 AND cloud = $2", network->id, request.source_cloud);
  if (request.source_cloud != core_.name() && !introduced) {
    return fail(Errc::conflict,
                "ticket for {}: network {} has not introduced cloud {} here (PUT /v1/networks/ID/peers)", spec.id,
                network->id, request.source_cloud);
  }
  if (const auto open = open_migration(sql, spec.id)) {
    return fail(Errc::conflict, "ticket for {}: its migration {} is under way here", spec.id, open->id);
  }
  const auto here = select_one<InstanceRow>(sql, "id = $1", spec.id);
  if (here && here->tenant != user.tenant) return fail(Errc::conflict, "ticket for {}: the id is taken here", spec.id);
  const bool alive =
      here && here->state != wire::InstanceState::terminated && here->state != wire::InstanceState::moved;
  if (alive && request.source_cloud != core_.name()) {
    return fail(Errc::conflict, "ticket for {}: it is at {} already, on host {}", spec.id, core_.name(), here->host);
  }
  if (!alive && request.source_cloud == core_.name()) {
    return fail(Errc::conflict, "ticket for {}: it is not at {}", spec.id, core_.name());
  }
  return check_addresses(sql, spec);
}

Result<std::string> Tickets::place(Sql& sql, const User& user, const wire::TicketRequest& request) const {
  const auto& spec = request.spec;
  const auto context = "ticket for " + spec.id;
  const wire::HostCapacity room{spec.vcpus, spec.memory_mib, spec.disk_gib};
  const auto quota = check_quota(sql, user, room, core_.now_ms(), spec.id);
  if (!quota) return fail(quota, context);
  const auto here = select_one<InstanceRow>(sql, "id = $1", spec.id);
  placement::Demand demand{room,
                           spec.image,
                           spec.image_sha256,
                           spec.accelerator,
                           spec.machine_type,
                           spec.cpu_model,
                           request.destination_host,
                           "",
                           false,
                           spec.queue_pairs};
  if (request.source_cloud == core_.name() && here) demand.not_host = here->host;
  auto offers = hosts_.offers(sql);
  // Of another tenant's image nobody has instances by bringing one along, nor learns that it is here.
  if (!may_run(sql, user.tenant, spec.image_sha256)) {
    for (auto& offer : offers) offer.images.clear();
  }
  auto host = placement::choose_host(demand, offers);
  if (!host) return fail(host, context);
  return host;
}

Result<TicketRow> Tickets::make(Sql& sql, const User& user, const wire::TicketRequest& request,
                                const std::string& host_name) {
  const auto host = select_one<HostRow>(sql, "name = $1", host_name);
  TicketRow row;
  row.id = core_.random().id("tkt");
  row.migration = request.migration;
  row.tenant = user.tenant;
  row.instance = request.spec.id;
  row.host = host_name;
  row.network = request.spec.interface.network;
  row.spec = request.spec;
  row.vcpus = request.spec.vcpus;
  row.memory_mib = request.spec.memory_mib;
  row.disk_gib = request.spec.disk_gib;
  row.request_sha256 = crypto::sha256_hex(as_bytes(wire::encode(request)));
  row.expires_ms = core_.now_ms() + Millis{kTicketLife}.count();

  auto point = host->report.migration_point;
  point.cloud = core_.name();
  point.host = host_name;
  point.certificate_name = certificate_name(host_name, core_.name());
  point.by_overlay = {host->report.overlay_ip, host->report.overlay_port, host_record_of(sql, host_name)};
  row.claims = {row.id,       core_.name(),         row.migration,           user.tenant,
                row.instance, request.source_cloud, request.source_host_key, spec_digest(request.spec),
                point,        row.expires_ms};
  auto ticket = core_.keys().tickets.sign(wire::encode(row.claims));
  if (!ticket) return fail(ticket, "ticket for " + row.instance);
  row.granted = {std::move(*ticket), point, row.expires_ms};
  return row;
}

// ---- redeem

Result<wire::TicketClaims> Tickets::open(const std::string& ticket) const {
  const auto payload = core_.keys().tickets.verifier().open(ticket);
  if (!payload) return fail(payload, core_.name());
  auto claims = wire::decode<wire::TicketClaims>(*payload, crypto::kTicketBytes);
  if (!claims) return fail(Errc::not_authentic, "ticket: {}", claims.error().message);
  if (claims->issuer != core_.name()) {
    return fail(Errc::not_authentic, "ticket: {} issued it, not {}", claims->issuer, core_.name());
  }
  return claims;
}

Result<> Tickets::matches(const TicketRow& row, const HostIdentity& caller, const wire::RedeemRequest& request) const {
  const auto& claims = row.claims;
  if (claims.destination.host != caller.name) {
    return fail(Errc::denied, "ticket {}: it is for host {}, not {}", row.id, claims.destination.host, caller.name);
  }
  if (claims.source_cloud != request.source_cloud || claims.source_host_key != request.source_host_key) {
    return fail(Errc::denied, "ticket {}: it is for another source host than the one of {} that shows it", row.id,
                request.source_cloud.substr(0, 64));
  }
  if (claims.spec_sha256 != spec_digest(request.spec) || claims.instance != request.spec.id ||
      claims.tenant != request.spec.tenant) {
    return fail(Errc::denied, "ticket {}: the instance is not as the ticket has it ({})", row.id, claims.instance);
  }
  return {};
}

Result<wire::RedeemAnswer> Tickets::redeem(const HostIdentity& caller, const wire::RedeemRequest& request) {
  const auto claims = open(request.ticket);
  if (!claims) return pass(claims);
  const auto redeemed = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::RedeemAnswer> {
    auto row = select_one<TicketRow>(sql, "id = $1", claims->id);
    if (!row) return fail(Errc::timed_out, "ticket {}: it expired at {}", claims->id, utc(claims->expires_ms));
    const auto matching = matches(*row, caller, request);
    if (!matching) return pass(matching);
    if (row->used_ms != 0) {
      const auto open = select_one<MigrationRow>(
          sql, "id = $1 AND role = 'destination' AND closed_ms = 0 AND owned = 0", row->migration);
      if (open) return answer(sql, core_, *row, request.location_version);
      return fail(Errc::conflict, "ticket {}: it was used at {}", row->id, utc(row->used_ms));
    }
    if (row->withdrawn) return fail(Errc::conflict, "ticket {}: a newer one took its place", row->id);
    if (core_.now_ms() >= row->expires_ms) {
      return fail(Errc::timed_out, "ticket {}: it expired at {}", row->id, utc(row->expires_ms));
    }
    auto answered = answer(sql, core_, *row, request.location_version);
    if (!answered) return answered;
    row->used_ms = core_.now_ms();
    put(sql, *row);
    auto migration = arrival_of(*row, core_.now_ms());
    put(sql, migration);
    migration.generation = refresh_desired(sql, core_, caller.name).generation;
    put(sql, migration);
    return answered;
  });
  if (redeemed) {
    core_.log().info("migration {}: ticket redeemed by host {}", claims->migration, caller.name);
    core_.announce_change();
  } else {
    core_.log().warn("migration {}: host {}: {}", claims->migration, caller.name, redeemed.error().message);
  }
  return redeemed;
}

}  // namespace godwit::cloud
