#include "cloud/hosts.h"

#include "base/id.h"
#include "cloud/boot_orders.h"
#include "cloud/desired.h"
#include "cloud/host_records.h"
#include "cloud/leaves.h"
#include "cloud/location_records.h"
#include "cloud/reports.h"
#include "crypto/host_record.h"

#include <algorithm>

namespace godwit::cloud {
namespace {

Result<> validate(const HostIdentity& host, const wire::HostReport& report) {
  const auto bad = [&](std::string_view what) {
    return fail(Errc::invalid_argument, "report of host {}: {}", host.name, what);
  };
  if (report.host != host.name) {
    return fail(Errc::denied, "report: the certificate is of host {}, the report of \"{}\"", host.name,
                report.host.substr(0, 64));
  }
  if (report.instances.size() > kInstancesPerReport) return bad("has more than 4096 instances");
  if (report.migrations.size() > kInstancesPerReport) return bad("has more than 4096 migrations");
  if (report.unsettled.size() > kInstancesPerReport) return bad("has more than 4096 unsettled migrations");
  if (report.images.size() > 1024 || report.arrivals.size() > 1024 || report.machine_types.size() > 1024 ||
      report.cpu_models.size() > 4096) {
    return bad("has more images, machine types or CPU models than a host can have");
  }
  if (report.content_of.size() > kInstancesPerReport) return bad("holds content of more than 4096 tenants");
  if (report.queue_pairs < 1) return bad("queue_pairs must be 1 or more");
  if (!report.overlay_key.empty() && !crypto::host_key_from_hex(report.overlay_key)) {
    return bad("overlay_key must be 64 hex digits");
  }
  if (report.snapshots.size() > wire::kSnapshotsPerHost) return bad("has more than 64 snapshots");
  for (const auto& each : report.snapshots) {
    if (!is_id("snap", each.id)) return bad("snapshots: an id must be snap- and 17 hex digits");
  }
  if (report.lans.size() > kLansPerReport) return bad("has more than 64 LANs");
  for (const auto& each : report.lans) {
    if (each.tenant.empty() || each.tenant.size() > 64 || !is_label(each.network)) {
      return bad("lans: must name a tenant and a network");
    }
  }
  if (const auto orders = check_boot_orders(report.boot_orders); !orders) return bad(orders.error().message);
  for (const auto& each : report.instances) {
    if (!is_id("i", each.id)) return bad("instances: an id must be i- and 17 hex digits");
  }
  for (const auto& each : report.migrations) {
    if (!is_id("mig", each.id)) return bad("migrations: an id must be mig- and 17 hex digits");
  }
  for (const auto& each : report.unsettled) {
    if (!is_id("mig", each)) return bad("unsettled: an id must be mig- and 17 hex digits");
  }
  return {};
}

void add(wire::HostCapacity& sum, const Claim& claim) {
  sum.vcpus += claim.vcpus;
  sum.memory_mib += claim.memory_mib;
  sum.disk_gib += claim.disk_gib;
}

std::map<std::string, wire::HostCapacity> used_by_host(Sql& sql, std::int64_t now_ms) {
  std::map<std::string, wire::HostCapacity> used;
  for (const auto& claim : select<Claim>(sql, "expires_ms = 0 OR expires_ms > $1", now_ms))
    add(used[claim.host], claim);
  return used;
}

std::string problem_of(Sql& sql, const HostRow& row, bool alive, Nanos silence) {
  if (!alive) return fmt::format("has not been heard from for {:.0f} s", to_s(silence));
  std::string out;
  for (const auto& id : strays_of(sql, row)) {
    if (!is_known_gone(sql, id, row.name)) out += (out.empty() ? "has instances that are not its own: " : ", ") + id;
  }
  return out;
}

}  // namespace

Result<> Hosts::start() {
  return core_.database().read([&](Sql& sql) -> Result<> {
    for (const auto& row : select<HostRow>(sql, "true")) {
      const Millis ago{std::max<std::int64_t>(0, core_.now_ms() - row.last_seen_ms)};
      heard_[row.name] = core_.clock().now() - ago;
    }
    return {};
  });
}

Nanos Hosts::silence(const std::string& host) const {
  const auto found = heard_.find(host);
  return found == heard_.end() ? Nanos::max() : core_.clock().now() - found->second;
}

sys::Task<Result<wire::DesiredState>> Hosts::sync(HostIdentity host, wire::HostReport report) {
  const auto valid = validate(host, report);
  if (!valid) co_return pass(valid);
  const auto deadline = core_.clock().now() + std::min(Millis{report.wait_ms}, kLongestPoll);
  const auto seen = report.seen_generation;
  const auto recorded = record(host, report);
  if (!recorded) co_return pass(recorded);
  for (;;) {
    bool joins = false;
    auto desired = core_.database().write(Durability::full, [&](Sql& sql) -> Result<wire::DesiredState> {
      // A network that has come while it waits, and that it could join to its LAN, needs not wait for another report.
      const bool offers = !select<LanPortRow>(sql, "host = $1", host.name).empty();
      const auto row = offers ? select_one<HostRow>(sql, "name = $1", host.name) : std::nullopt;
      if (row && networks_joined_at(sql, core_, host.name).empty()) joins = lans_.settle(sql, *this, *row);
      return refresh_desired(sql, core_, host.name);
    });
    if (joins) core_.announce_change();
    if (!desired || desired->generation != seen || core_.clock().now() >= deadline) co_return desired;
    co_await core_.changed().wait_until(core_.clock(), deadline);
  }
}

Result<> Hosts::record(const HostIdentity& host, const wire::HostReport& report) {
  auto lasting = report;
  lasting.wait_ms = 0;
  const auto boot_orders = std::exchange(lasting.boot_orders, {});  // said once, and kept elsewhere
  auto text = wire::encode(lasting);
  const bool news = last_report_[host.name] != text;
  bool changed = false;
  // What is about to be given up is looked at again and again; the rest only when it has changed.
  const auto arriving = core_.database().read([&](Sql& sql) -> Result<bool> { return awaits_arrival(sql, host.name); });
  if (!arriving) return pass(arriving);
  const bool weighty = news || *arriving || !boot_orders.empty();
  const auto durability = weighty ? Durability::full : Durability::relaxed;
  const auto written = core_.database().write(durability, [&](Sql& sql) -> Result<> {
    auto row = select_one<HostRow>(sql, "name = $1", host.name);
    if (row && !row->key_sha256.empty() && row->key_sha256 != host.key_sha256) {
      return fail(Errc::not_authentic, "host {}: this certificate was replaced when the host joined again", host.name);
    }
    if (!row) row = HostRow{host.name, host.key_sha256, {}, 0, 0, ""};
    row->last_seen_ms = core_.now_ms();
    changed = note_lans(sql, lasting);
    row->report = std::move(lasting);
    put(sql, *row);
    changed |= renew_host_record(sql, core_, *row);
    if (weighty) changed |= apply_report(sql, core_, *row);
    changed |= note_boot_orders(sql, boot_orders);
    changed |= settle_leaves(sql, core_, *this);
    changed |= lans_.settle(sql, *this, *row);
    changed |= renew_location_records(sql, core_, *row);
    return {};
  });
  if (!written) {
    last_report_.erase(host.name);
    return written;
  }
  const bool was_silent = !alive(host.name);
  heard_[host.name] = core_.clock().now();
  last_report_[host.name] = std::move(text);
  if (changed || was_silent) core_.announce_change();
  return {};
}

std::vector<placement::HostOffer> Hosts::offers(Sql& sql) const {
  const auto used = used_by_host(sql, core_.now_ms());
  std::vector<placement::HostOffer> out;
  for (auto& row : select<HostRow>(sql, "true ORDER BY name")) {
    auto capacity = row.report.capacity;
    capacity.vcpus *= core_.settings().vcpus_per_cpu;
    const auto mine = used.find(row.name);
    out.push_back({row.name, alive(row.name), capacity, mine == used.end() ? wire::HostCapacity{} : mine->second,
                   std::move(row.report.accelerator), std::move(row.report.machine_types),
                   std::move(row.report.cpu_models), std::move(row.report.images), row.report.queue_pairs});
  }
  return out;
}

Result<wire::HostList> Hosts::list() const {
  return core_.database().read([&](Sql& sql) -> Result<wire::HostList> {
    const auto used = used_by_host(sql, core_.now_ms());
    wire::HostList out;
    for (auto& row : select<HostRow>(sql, "true ORDER BY name")) {
      auto& view = out.hosts.emplace_back();
      view.name = row.name;
      view.alive = alive(row.name);
      view.capacity = row.report.capacity;
      if (const auto mine = used.find(row.name); mine != used.end()) view.used = mine->second;
      view.accelerator = row.report.accelerator;
      view.qemu_version = row.report.qemu_version;
      view.images = row.report.images;
      view.arrivals = row.report.arrivals;
      view.last_seen_ms = row.last_seen_ms;
      view.problem = problem_of(sql, row, view.alive, silence(row.name));
    }
    return out;
  });
}

}  // namespace godwit::cloud
