#include "cloud/content.h"

#include <algorithm>
#include <set>

namespace godwit::cloud {
namespace {

constexpr std::size_t kKey_bytes = 32;

bool apply_point(Sql& sql, const HostRow& host) {
  ContentHostRow now{host.name, host.report.migration_point.ip, host.report.directory_port, host.report.image_port};
  const auto before = select_one<ContentHostRow>(sql, "host = $1", host.name);
  if (before ? *before == now : now.port == 0 && now.image_port == 0) return false;
  put(sql, now);
  return true;
}

// Those for whom it may keep the key: it holds, expects or is to expect an instance of theirs.
std::set<std::string> entitled(Sql& sql, const std::string& host, std::int64_t now_ms) {
  std::set<std::string> tenants;
  for (const auto& claim : select<Claim>(sql, "host = $1 AND (expires_ms = 0 OR expires_ms > $2)", host, now_ms)) {
    tenants.insert(claim.tenant);
  }
  return tenants;
}

// Brings the host's grants up to date; the tenants whose keys it has from now on, sorted.
std::vector<std::string> refresh_grants(Sql& sql, const std::string& host, std::int64_t now_ms) {
  auto tenants = entitled(sql, host, now_ms);
  std::set<std::string> granted;
  for (const auto& row : select<ContentGrantRow>(sql, "host = $1", host)) {
    if (row.held || tenants.contains(row.tenant)) {
      granted.insert(row.tenant);
    } else {
      sql.run("DELETE FROM content_grants WHERE tenant = $1 AND host = $2", row.tenant, host);
    }
  }
  for (const auto& tenant : tenants) {
    if (granted.insert(tenant).second) put(sql, ContentGrantRow{tenant, host, false});
  }
  return {granted.begin(), granted.end()};
}

std::string key_of(Sql& sql, Core& core, const std::string& tenant) {
  if (auto row = select_one<ContentKeyRow>(sql, "tenant = $1", tenant)) return std::move(row->secret);
  std::array<std::byte, kKey_bytes> key;
  core.random().fill(key);
  ContentKeyRow row{tenant, to_hex(key)};
  put(sql, row);
  return std::move(row.secret);
}

// A cloud that was away has heard from nobody for a while: that says nothing about its hosts.
std::int64_t siblings_heard_since(Core& core) {
  const auto since = core.now_ms() - Millis{kSiblingSilence}.count();
  return since < core.started_ms() ? 0 : since;
}

}  // namespace

std::vector<ImageGiver> image_givers(Sql& sql, Core& core) {
  std::vector<ImageGiver> out;
  for (const auto& row :
       sql.rows("SELECT h.name, c.ip, c.image_port FROM hosts h JOIN content_hosts c ON c.host = h.name"
                " WHERE h.last_seen_ms > $1 AND c.image_port <> 0 ORDER BY h.name LIMIT $2",
                siblings_heard_since(core), kMostSiblings + 1)) {
    out.push_back({certificate_name(std::get<std::string>(row[0]), core.name()), std::get<std::string>(row[1]),
                   static_cast<std::uint16_t>(std::get<std::int64_t>(row[2]))});
  }
  return out;
}

bool apply_content_report(Sql& sql, const HostRow& host) {
  bool changed = apply_point(sql, host);
  const auto& said = host.report.content_of;
  for (auto& row : select<ContentGrantRow>(sql, "host = $1", host.name)) {
    const bool held = std::find(said.begin(), said.end(), row.tenant) != said.end();
    if (held == row.held) continue;
    row.held = held;
    put(sql, row);
    changed = true;
  }
  return changed;
}

void add_content(Sql& sql, Core& core, const std::string& host, wire::DesiredState& desired) {
  for (const auto& tenant : refresh_grants(sql, host, core.now_ms())) {
    const bool held =
        !sql.rows("SELECT host FROM content_grants WHERE tenant = $1 AND held = 1 LIMIT 1", tenant).empty();
    desired.content_keys.push_back({tenant, key_of(sql, core, tenant), held});
  }
  const auto heard_since = siblings_heard_since(core);
  for (const auto& row :
       sql.rows("SELECT h.name, h.key_sha256, c.ip, c.port, c.image_port FROM hosts h JOIN content_hosts c"
                " ON c.host = h.name WHERE h.last_seen_ms > $1 AND h.name <> $2 AND (c.port <> 0 OR c.image_port <> 0)"
                " ORDER BY h.name LIMIT $3",
                heard_since, host, kMostSiblings)) {
    auto& sibling = desired.siblings.emplace_back();
    sibling.certificate_name = certificate_name(std::get<std::string>(row[0]), core.name());
    sibling.key_sha256 = std::get<std::string>(row[1]);
    sibling.ip = std::get<std::string>(row[2]);
    sibling.port = static_cast<std::uint16_t>(std::get<std::int64_t>(row[3]));
    sibling.image_port = static_cast<std::uint16_t>(std::get<std::int64_t>(row[4]));
  }
}

}  // namespace godwit::cloud
