#include "cloud/location_records.h"

#include "crypto/host_record.h"
#include "crypto/location_record.h"
#include "overlay/location_claim.h"

#include <algorithm>
#include <set>

namespace godwit::cloud {
namespace {

constexpr Millis kRenewAfter = crypto::kLocationRecordLife / 2;

crypto::Validity from_now(std::int64_t now_ms) {
  const WallTime now{Millis(now_ms)};
  return {now - crypto::kStatementSkew, now + crypto::kLocationRecordLife};
}

Result<std::string> sign(Core& core, const crypto::LocationRecord& record) {
  const auto made = crypto::sign_location_record(record, core.keys().authority);
  if (!made) return pass(made);
  return to_base64url(*made);
}

// Those that still prove something, of this instance.
std::vector<std::string> valid_hand_offs(const std::string& claim, const InstanceRow& row, std::int64_t now_ms) {
  auto out = overlay::hand_offs_of(claim);
  std::erase_if(out, [&](const std::string& each) {
    const auto bytes = crypto::statement_from_text(each);
    const auto said = bytes ? crypto::read_hand_off(*bytes) : pass(bytes);
    return !said || said->instance != row.id || said->network != row.network ||
           said->validity.until <= WallTime{Millis(now_ms)};
  });
  return out;
}

// What the agent was shown when the instance arrived, if it is about that: hand-offs are all that is taken of it.
std::string claim_at_arrival(const HostRow& host, const InstanceRow& row) {
  const auto said = std::ranges::find(host.report.instances, row.id, &wire::InstanceReport::id);
  const bool current = said != host.report.instances.end() && said->location_version == row.location_version;
  return current ? said->claim : std::string();
}

// Errors: as sign_location_record().
Result<LocationRecordRow> make(Core& core, const HostRow& host, const InstanceRow& row, std::uint32_t vni,
                               const std::string& claim_before) {
  const auto now_ms = core.now_ms();
  const auto validity = from_now(now_ms);
  const auto record = sign(core, {core.name(), host.name, row.network, vni, row.id, row.location_version,
                                  crypto::LocationGrant::here, validity});
  if (!record) return pass(record);
  auto claim = overlay::claim_text(*record, valid_hand_offs(claim_before, row, now_ms));
  if (!claim) return pass(claim);
  const auto until_ms = std::chrono::floor<Seconds>(validity.until).time_since_epoch() / Millis{1};
  return LocationRecordRow{row.id,
                           host.name,
                           row.network,
                           vni,
                           row.location_version,
                           core.keys().authority.sha256(),
                           std::move(*claim),
                           until_ms,
                           now_ms + kRenewAfter.count()};
}

// What has its location at this host: instances, and leaves as far as it takes to sign where they are.
std::vector<InstanceRow> located_at(Sql& sql, const std::string& host) {
  auto out =
      select<InstanceRow>(sql, "host = $1 AND state NOT IN ('terminated', 'moved') AND location_version > 0", host);
  for (auto& leaf : select<LeafRow>(sql, "host = $1", host)) {
    if (select_one<InstanceRow>(sql, "id = $1", leaf.instance)) continue;
    auto& row = out.emplace_back();
    row.id = std::move(leaf.instance);
    row.network = std::move(leaf.network);
    row.host = host;
    row.location_version = leaf.version;
  }
  return out;
}

}  // namespace

bool renew_location_records(Sql& sql, Core& core, const HostRow& host) {
  bool changed = false;
  std::map<std::string, LocationRecordRow> known;
  for (auto& row : select<LocationRecordRow>(sql, "host = $1", host.name)) {
    auto instance = row.instance;
    known.emplace(std::move(instance), std::move(row));
  }
  const auto authority = core.keys().authority.sha256();
  std::map<std::string, std::uint32_t> vnis;
  for (const auto& row : located_at(sql, host.name)) {
    auto vni = vnis.find(row.network);
    if (vni == vnis.end()) {
      const auto network = select_one<NetworkRow>(sql, "id = $1", row.network);
      vni = vnis.emplace(row.network, network ? network->vni : 0).first;
    }
    const auto found = known.extract(row.id);
    const auto* before = found ? &found.mapped() : nullptr;
    const bool same = before && before->epoch == row.location_version && before->network == row.network;
    const bool fresh =
        same && before->vni == vni->second && before->authority == authority && core.now_ms() < before->renew_ms;
    if (fresh || vni->second == 0) continue;
    const auto made = make(core, host, row, vni->second, same ? before->claim : claim_at_arrival(host, row));
    if (!made) {
      core.log().error("location of {}: {}", row.id, made.error().message);
      continue;
    }
    put(sql, *made);
    changed = true;
  }
  for (const auto& [instance, row] : known) {
    sql.run("DELETE FROM location_records WHERE instance = $1 AND host = $2", instance, host.name);
  }
  return changed;
}

Result<std::string> location_if_handed_off(Core& core, const wire::Network& network, const std::string& instance,
                                           const std::string& host, std::uint64_t epoch) {
  return sign(core, {core.name(), host, network.id, network.vni, instance, epoch, crypto::LocationGrant::if_handed_off,
                     from_now(core.now_ms())});
}

Result<std::vector<std::string>> hand_off(Sql& sql, Core& core, const InstanceRow& instance,
                                          const std::string& to_cloud, const std::string& to_host) {
  const auto known = select_one<LocationRecordRow>(sql, "instance = $1", instance.id);
  auto out = known ? valid_hand_offs(known->claim, instance, core.now_ms()) : std::vector<std::string>{};
  while (out.size() >= wire::kMostHandOffs) out.erase(out.begin());
  const auto made = crypto::sign_hand_off({core.name(), to_cloud, to_host, instance.network, instance.id,
                                           instance.location_version + 1, from_now(core.now_ms())},
                                          core.keys().authority);
  if (!made) return pass(made);
  out.push_back(to_base64url(*made));
  return out;
}

}  // namespace godwit::cloud
