#include "cloud/instances.h"

#include "base/id.h"
#include "cloud/desired.h"
#include "cloud/images.h"
#include "crypto/digest.h"

namespace godwit::cloud {
namespace {

using wire::DesiredInstanceState;
using wire::InstanceState;

bool is_ended(InstanceState state) { return state == InstanceState::terminated || state == InstanceState::moved; }

std::string digest_of(const wire::RunInstanceRequest& request) {
  return crypto::sha256_hex(as_bytes(wire::encode(request)));
}

wire::InstanceSpec spec_of(const User& user, const wire::RunInstanceRequest& request, const wire::InstanceType& type) {
  wire::InstanceSpec spec;
  spec.id = request.id;
  spec.tenant = user.tenant;
  spec.name = request.name;
  spec.cluster = request.cluster;
  spec.roles = request.roles;
  spec.type = type.name;
  spec.vcpus = type.vcpus;
  spec.memory_mib = type.memory_mib;
  spec.disk_gib = type.disk_gib;
  spec.image = request.image;
  spec.interface = request.interface;
  spec.ssh_keys = request.ssh_keys;
  spec.user_data = request.user_data;
  // Until a host is chosen, which has its own newest machine and its own accelerator.
  spec.machine_type = "q35";
  spec.accelerator = "tcg";
  return spec;
}

InstanceRow row_of(const User& user, wire::InstanceSpec spec, std::string host) {
  InstanceRow row;
  row.id = spec.id;
  row.tenant = user.tenant;
  row.host = std::move(host);
  row.network = spec.interface.network;
  row.vcpus = spec.vcpus;
  row.memory_mib = spec.memory_mib;
  row.disk_gib = spec.disk_gib;
  row.location_version = 1;  // at the first start; one more at each move
  row.spec = std::move(spec);
  return row;
}

}  // namespace

Result<InstanceRow> own_instance(Sql& sql, const User& user, const std::string& id) {
  auto row = select_one<InstanceRow>(sql, "id = $1 AND tenant = $2", id, user.tenant);
  if (!row) return fail(Errc::not_found, "instance {}: there is none", is_id("i", id) ? id : "?");
  return std::move(*row);
}

Result<NetworkRow> own_network(Sql& sql, const User& user, const std::string& id) {
  auto row = select_one<NetworkRow>(sql, "id = $1 AND tenant = $2", id, user.tenant);
  if (!row) {
    return fail(Errc::not_found, "network {}: there is none here (PUT /v1/networks/ID makes it)",
                is_id("net", id) ? id : "?");
  }
  return std::move(*row);
}

std::optional<MigrationRow> open_migration(Sql& sql, const std::string& instance) {
  return select_one<MigrationRow>(sql,
                                  "instance = $1 AND closed_ms = 0 AND NOT (role = 'source' AND fence = 'released')"
                                  " AND NOT (role = 'destination' AND fence = 'aborted')"
                                  " ORDER BY role DESC, opened_ms DESC LIMIT 1",
                                  instance);
}

Result<> check_addresses(Sql& sql, const wire::InstanceSpec& spec) {
  for (const auto& other :
       select<InstanceRow>(sql, "network = $1 AND id <> $2 AND state NOT IN ('terminated', 'moved')",
                           spec.interface.network, spec.id)) {
    const auto& taken = other.spec.interface;
    if (taken.mac == spec.interface.mac || taken.ip == spec.interface.ip) {
      return fail(Errc::conflict, "instance {}: {} has MAC {} and IP {} on network {} already", spec.id, other.id,
                  taken.mac, taken.ip, taken.network);
    }
  }
  return {};
}

// ---- run

Result<wire::InstanceView> Instances::run(const User& user, const wire::RunInstanceRequest& request) {
  if (!is_id("i", request.id)) return fail(Errc::invalid_argument, "run instance: id must be i- and 17 hex digits");
  const auto ran = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::InstanceView> {
    const auto known = select_one<InstanceRow>(sql, "id = $1", request.id);
    if (known && known->tenant == user.tenant && known->request_sha256 == digest_of(request)) return view(sql, *known);
    if (known) return fail(Errc::conflict, "instance {}: the id is taken; draw another", request.id);
    if (select_one<LeafRow>(sql, "instance = $1", request.id)) {
      return fail(Errc::conflict, "instance {}: the id is a leaf's; draw another", request.id);
    }
    auto row = admit(sql, user, request);
    if (!row) return pass(row);
    put(sql, *row);
    return view(sql, *row);
  });
  if (ran) {
    core_.log().info("instance {} of {}: {} on host {}", request.id, user.tenant, request.type, ran->host);
    core_.announce_change();
  }
  return ran;
}

Result<InstanceRow> Instances::admit(Sql& sql, const User& user, const wire::RunInstanceRequest& request) const {
  const auto context = "run instance " + request.id;
  const auto type = wire::find_instance_type(request.type);
  if (!type) return fail(type, context);
  auto spec = spec_of(user, request, *type);
  const auto image = find_image(sql, user.tenant, request.image);
  if (!image)
    return fail(Errc::not_found, "{}: no image \"{}\" at {}", context, request.image.substr(0, 64), core_.name());
  spec.image_sha256 = image->sha256;
  spec.cpu_model = core_.settings().cpu_model;
  const auto valid = wire::validate(spec);
  if (!valid) return pass(valid);
  const auto network = own_network(sql, user, spec.interface.network);
  if (!network) return fail(network, context);
  const auto addresses = check_addresses(sql, spec);
  if (!addresses) return pass(addresses);
  const wire::HostCapacity room{spec.vcpus, spec.memory_mib, spec.disk_gib};
  const auto quota = check_quota(sql, user, room, core_.now_ms());
  if (!quota) return fail(quota, context);

  const auto offers = hosts_.offers(sql);
  const placement::Demand demand{room,         spec.image, spec.image_sha256,       "", "", core_.settings().cpu_model,
                                 request.host, "",         !image->manifest.empty()};
  const auto host = placement::choose_host(demand, offers);
  if (!host) return fail(host, context);
  for (const auto& offer : offers) {
    if (offer.name != *host) continue;
    spec.machine_type = placement::newest_q35(offer.machine_types);
    spec.accelerator = offer.accelerator;
    spec.queue_pairs = std::min({spec.vcpus, offer.queue_pairs, wire::kMostQueuePairs});
  }
  auto row = row_of(user, std::move(spec), *host);
  row.request_sha256 = digest_of(request);
  row.launched_ms = core_.now_ms();
  return row;
}

// ---- look

wire::InstanceView Instances::view(Sql& sql, const InstanceRow& row) const {
  wire::InstanceView out;
  out.spec = row.spec;
  out.state = row.state;
  out.ready = row.ready;
  out.cloud = core_.name();
  out.host = row.host;
  out.location_version = row.location_version;
  out.moved_to = row.moved_to;
  out.problem = row.problem;
  out.launched_ms = row.launched_ms;
  if (const auto host = select_one<HostRow>(sql, "name = $1", row.host)) out.host_key = host->key_sha256;
  if (const auto migration = open_migration(sql, row.id)) {
    out.migration = migration->id;
    const bool doubt = migration->report.phase == wire::MigrationPhase::in_doubt;
    if (doubt && !is_ended(row.state)) out.state = InstanceState::in_doubt;
    if (doubt && out.problem.empty()) out.problem = migration->report.error;
  }
  if (!is_ended(row.state) && !hosts_.alive(row.host)) {
    out.problem = fmt::format("host {} has not been heard from for {:.0f} s", row.host, to_s(hosts_.silence(row.host)));
  }
  return out;
}

wire::InstanceView Instances::arriving_view(Sql& sql, const MigrationRow& row) const {
  InstanceRow instance;
  instance.id = row.instance;
  instance.host = row.host;
  instance.spec = row.spec;
  return view(sql, instance);
}

namespace {

// Arriving instances of a tenant that have no live row of their own here.
std::vector<MigrationRow> arriving(Sql& sql, const std::string& tenant) {
  return select<MigrationRow>(sql,
                              "tenant = $1 AND role = 'destination' AND closed_ms = 0 AND owned = 0"
                              " AND fence <> 'aborted' ORDER BY instance",
                              tenant);
}

}  // namespace

Result<wire::InstanceList> Instances::list(const User& user) const {
  return core_.database().read([&](Sql& sql) -> Result<wire::InstanceList> {
    std::map<std::string, wire::InstanceView> views;
    for (const auto& row : select<InstanceRow>(sql, "tenant = $1 AND state <> 'terminated'", user.tenant)) {
      views.emplace(row.id, view(sql, row));
    }
    for (const auto& row : arriving(sql, user.tenant)) {
      const auto known = views.find(row.instance);
      if (known != views.end() && known->second.state != InstanceState::moved) continue;
      views.insert_or_assign(row.instance, arriving_view(sql, row));
    }
    wire::InstanceList out;
    for (auto& [id, each] : views) out.instances.push_back(std::move(each));
    return out;
  });
}

Result<wire::InstanceView> Instances::get(const User& user, const std::string& id) const {
  return core_.database().read([&](Sql& sql) -> Result<wire::InstanceView> {
    const auto row = own_instance(sql, user, id);
    if (row && !is_ended(row->state)) return view(sql, *row);
    for (const auto& each : arriving(sql, user.tenant)) {
      if (each.instance == id) return arriving_view(sql, each);
    }
    if (!row) return pass(row);
    return view(sql, *row);
  });
}

// ---- steer

Result<wire::InstanceView> Instances::want(const User& user, const std::string& id, DesiredInstanceState wanted) {
  const auto done = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::InstanceView> {
    auto row = own_instance(sql, user, id);
    if (!row) return pass(row);
    if (row->state == InstanceState::terminated && wanted == DesiredInstanceState::absent) return view(sql, *row);
    if (row->state == InstanceState::moved) {
      return fail(Errc::conflict, "instance {}: it has moved to {}; ask there", id, row->moved_to);
    }
    if (row->state == InstanceState::terminated || row->wanted == DesiredInstanceState::absent) {
      if (wanted == DesiredInstanceState::absent) return view(sql, *row);
      return fail(Errc::conflict, "instance {}: it has been terminated", id);
    }
    if (const auto migration = open_migration(sql, id)) {
      return fail(Errc::conflict, "instance {}: migration {} is under way; wait for its end, or cancel it", id,
                  migration->id);
    }
    row->wanted = wanted;
    if (wanted == DesiredInstanceState::absent) row->state = InstanceState::shutting_down;
    if (wanted == DesiredInstanceState::stopped && row->state == InstanceState::running) {
      row->state = InstanceState::stopping;
    }
    if (wanted == DesiredInstanceState::running && row->state == InstanceState::stopped) {
      row->state = InstanceState::pending;
    }
    put(sql, *row);
    if (wanted == DesiredInstanceState::absent) {
      row->gone_generation = refresh_desired(sql, core_, row->host).generation;
      put(sql, *row);
    }
    return view(sql, *row);
  });
  if (done) {
    core_.log().info("instance {}: {} wants it {}", id, user.tenant, boost::describe::enum_to_string(wanted, "?"));
    core_.announce_change();
  }
  return done;
}

Result<wire::InstanceView> Instances::terminate(const User& user, const std::string& id) {
  return want(user, id, DesiredInstanceState::absent);
}
Result<wire::InstanceView> Instances::stop(const User& user, const std::string& id) {
  return want(user, id, DesiredInstanceState::stopped);
}
Result<wire::InstanceView> Instances::start(const User& user, const std::string& id) {
  return want(user, id, DesiredInstanceState::running);
}

}  // namespace godwit::cloud
