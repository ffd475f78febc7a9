#include "cloud/schema.h"

namespace godwit::cloud {
namespace {

// What each column means is said where its row is declared: cloud/tables.h.
const std::vector<std::vector<std::string>>& steps() {
  static const std::vector<std::vector<std::string>> all{
      {
          "CREATE TABLE settings (name TEXT PRIMARY KEY, content TEXT NOT NULL)",
          "CREATE TABLE tenants (name TEXT PRIMARY KEY, quota TEXT NOT NULL, is_operator BIGINT NOT NULL)",
          "CREATE TABLE tokens (sha256 TEXT PRIMARY KEY, tenant TEXT NOT NULL REFERENCES tenants (name),"
          " created_ms BIGINT NOT NULL)",
          "CREATE TABLE join_tokens (sha256 TEXT PRIMARY KEY, host TEXT NOT NULL, expires_ms BIGINT NOT NULL,"
          " csr_sha256 TEXT NOT NULL, certificate TEXT NOT NULL)",
          "CREATE TABLE hosts (name TEXT PRIMARY KEY, key_sha256 TEXT NOT NULL, report TEXT NOT NULL,"
          " last_seen_ms BIGINT NOT NULL, generation BIGINT NOT NULL, desired_sha256 TEXT NOT NULL)",
          "CREATE TABLE images (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, path TEXT NOT NULL)",
          "CREATE TABLE instances (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, host TEXT NOT NULL, network TEXT NOT "
          "NULL,"
          " state TEXT NOT NULL, wanted TEXT NOT NULL, spec TEXT NOT NULL, vcpus BIGINT NOT NULL,"
          " memory_mib BIGINT NOT NULL, disk_gib BIGINT NOT NULL, request_sha256 TEXT NOT NULL, ready BIGINT NOT NULL,"
          " location_version BIGINT NOT NULL, problem TEXT NOT NULL, launched_ms BIGINT NOT NULL,"
          " moved_to TEXT NOT NULL, gone_generation BIGINT NOT NULL, ended_ms BIGINT NOT NULL)",
          "CREATE INDEX instances_by_host ON instances (host)",
          "CREATE INDEX instances_by_tenant ON instances (tenant)",
          "CREATE INDEX instances_by_network ON instances (network)",
          "CREATE TABLE networks (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, vni BIGINT NOT NULL UNIQUE,"
          " body TEXT NOT NULL)",
          "CREATE TABLE network_peers (network TEXT NOT NULL, cloud TEXT NOT NULL, pem TEXT NOT NULL,"
          " PRIMARY KEY (network, cloud))",
          "CREATE TABLE tickets (id TEXT PRIMARY KEY, migration TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,"
          " instance TEXT NOT NULL, host TEXT NOT NULL, network TEXT NOT NULL, spec TEXT NOT NULL,"
          " vcpus BIGINT NOT NULL, memory_mib BIGINT NOT NULL, disk_gib BIGINT NOT NULL, request_sha256 TEXT NOT NULL,"
          " claims TEXT NOT NULL, granted TEXT NOT NULL, expires_ms BIGINT NOT NULL, used_ms BIGINT NOT NULL,"
          " withdrawn BIGINT NOT NULL)",
          "CREATE INDEX tickets_by_host ON tickets (host)",
          "CREATE TABLE migrations (id TEXT NOT NULL, role TEXT NOT NULL, instance TEXT NOT NULL, tenant TEXT NOT NULL,"
          " host TEXT NOT NULL, network TEXT NOT NULL, peer_cloud TEXT NOT NULL, peer_host TEXT NOT NULL,"
          " peer_key TEXT NOT NULL, spec TEXT NOT NULL, vcpus BIGINT NOT NULL, memory_mib BIGINT NOT NULL,"
          " disk_gib BIGINT NOT NULL, granted TEXT NOT NULL, options TEXT NOT NULL, cancel BIGINT NOT NULL,"
          " vote TEXT NOT NULL, fence TEXT NOT NULL, owned BIGINT NOT NULL, report TEXT NOT NULL,"
          " location_version BIGINT NOT NULL, generation BIGINT NOT NULL, opened_ms BIGINT NOT NULL,"
          " closed_ms BIGINT NOT NULL, PRIMARY KEY (id, role))",
          "CREATE INDEX migrations_by_host ON migrations (host)",
          "CREATE INDEX migrations_by_instance ON migrations (instance)",
          // Everything that takes room on a host or of a quota; expires_ms is 0 where it stays until it is ended.
          "CREATE VIEW claims AS"
          " SELECT id AS instance, tenant, host, vcpus, memory_mib, disk_gib, 0 AS expires_ms FROM instances"
          " WHERE state NOT IN ('terminated', 'moved')"
          " UNION ALL SELECT instance, tenant, host, vcpus, memory_mib, disk_gib, expires_ms FROM tickets"
          " WHERE used_ms = 0 AND withdrawn = 0"
          " UNION ALL SELECT instance, tenant, host, vcpus, memory_mib, disk_gib, 0 AS expires_ms FROM migrations"
          " WHERE role = 'destination' AND closed_ms = 0 AND owned = 0 AND fence <> 'aborted'",
      },
      {
          "CREATE TABLE content_hosts (host TEXT PRIMARY KEY, ip TEXT NOT NULL, port BIGINT NOT NULL)",
          "CREATE TABLE content_keys (tenant TEXT PRIMARY KEY, secret TEXT NOT NULL)",
          "CREATE TABLE content_grants (tenant TEXT NOT NULL, host TEXT NOT NULL, held BIGINT NOT NULL,"
          " PRIMARY KEY (tenant, host))",
          "CREATE INDEX content_grants_by_host ON content_grants (host)",
      },
      {
          "CREATE TABLE host_records (host TEXT PRIMARY KEY, overlay_key TEXT NOT NULL UNIQUE, authority TEXT NOT NULL,"
          " record TEXT NOT NULL, renew_ms BIGINT NOT NULL)",
      },
      {
          "CREATE TABLE location_records (instance TEXT PRIMARY KEY, host TEXT NOT NULL, network TEXT NOT NULL,"
          " vni BIGINT NOT NULL, epoch BIGINT NOT NULL, authority TEXT NOT NULL, claim TEXT NOT NULL,"
          " until_ms BIGINT NOT NULL, renew_ms BIGINT NOT NULL)",
          "CREATE INDEX location_records_by_host ON location_records (host)",
          "CREATE INDEX location_records_by_network ON location_records (network)",
          "ALTER TABLE migrations ADD COLUMN hand_offs TEXT NOT NULL DEFAULT '[]'",
      },
      {
          "CREATE TABLE lan_ports (host TEXT NOT NULL, tenant TEXT NOT NULL, network TEXT NOT NULL,"
          " PRIMARY KEY (host, tenant, network))",
          "CREATE INDEX lan_ports_by_network ON lan_ports (tenant, network)",
      },
      {
          "ALTER TABLE content_hosts ADD COLUMN image_port BIGINT NOT NULL DEFAULT 0",
          "ALTER TABLE images RENAME TO images_before",
          "CREATE TABLE images (tenant TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, path TEXT NOT NULL,"
          " manifest TEXT NOT NULL, signature TEXT NOT NULL, PRIMARY KEY (tenant, name))",
          "INSERT INTO images SELECT '', name, sha256, path, '', '' FROM images_before",
          "DROP TABLE images_before",
      },
      {
          "CREATE TABLE leaves (instance TEXT PRIMARY KEY, network TEXT NOT NULL, wireguard_key TEXT NOT NULL,"
          " host TEXT NOT NULL, version BIGINT NOT NULL)",
          "CREATE INDEX leaves_by_network ON leaves (network)",
          "CREATE INDEX leaves_by_host ON leaves (host)",
      },
      {
          "CREATE TABLE boot_orders (sha256 TEXT PRIMARY KEY, ranges TEXT NOT NULL, pieces BIGINT NOT NULL)",
      },
      {
          "CREATE TABLE snapshots (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, instance TEXT NOT NULL,"
          " host TEXT NOT NULL, name TEXT NOT NULL, phase TEXT NOT NULL, sha256 TEXT NOT NULL, problem TEXT NOT NULL,"
          " asked_ms BIGINT NOT NULL, ended_ms BIGINT NOT NULL)",
          "CREATE INDEX snapshots_by_host ON snapshots (host)",
      },
      {
          "ALTER TABLE images ADD COLUMN need_bytes BIGINT NOT NULL DEFAULT 0",
          "ALTER TABLE images ADD COLUMN check_number BIGINT NOT NULL DEFAULT 0",
          "CREATE TABLE image_uploads (tenant TEXT NOT NULL, image TEXT NOT NULL, pieces BIGINT NOT NULL,"
          " has_list BIGINT NOT NULL, need_bytes BIGINT NOT NULL, touched_ms BIGINT NOT NULL,"
          " PRIMARY KEY (tenant, image))",
          "CREATE TABLE image_upload_parts (tenant TEXT NOT NULL, image TEXT NOT NULL, part BIGINT NOT NULL,"
          " bits TEXT NOT NULL, PRIMARY KEY (tenant, image, part))",
      },
      {
          "CREATE TABLE lan_holdings (network TEXT PRIMARY KEY, host TEXT NOT NULL, version BIGINT NOT NULL,"
          " leased BIGINT NOT NULL, accepted BIGINT NOT NULL, ip TEXT NOT NULL, port BIGINT NOT NULL)",
          "CREATE INDEX lan_holdings_by_host ON lan_holdings (host)",
      },
  };
  return all;
}

}  // namespace

Result<> bring_up_to_date(Sql& sql) {
  sql.run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)");
  const auto rows = sql.rows("SELECT version FROM schema_version");
  const auto version = rows.empty() ? 0 : std::get<std::int64_t>(rows[0][0]);
  const auto newest = static_cast<std::int64_t>(steps().size());
  if (version > newest) {
    return fail(Errc::unsupported, "schema version {} where this build knows {}: run the newer godwit again", version,
                newest);
  }
  if (version == newest) return {};
  for (auto step = version; step < newest; ++step) {
    for (const auto& statement : steps()[static_cast<std::size_t>(step)]) sql.run(statement);
  }
  sql.run("DELETE FROM schema_version");
  sql.run("INSERT INTO schema_version (version) VALUES ($1)", newest);
  return {};
}

}  // namespace godwit::cloud
