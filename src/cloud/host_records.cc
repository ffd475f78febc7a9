#include "cloud/host_records.h"

#include "crypto/host_record.h"

namespace godwit::cloud {
namespace {

constexpr Millis kRenewAfter = crypto::kHostRecordLife / 2;

Result<std::string> sign(Core& core, const HostRow& host, const crypto::HostKey& key, std::int64_t now_ms) {
  const WallTime now{Millis(now_ms)};
  const crypto::HostRecord record{core.name(),
                                  host.name,
                                  key,
                                  crypto::SessionProfile::native,
                                  {now - crypto::kStatementSkew, now + crypto::kHostRecordLife}};
  const auto made = crypto::sign_host_record(record, core.keys().authority);
  if (!made) return pass(made);
  return to_base64url(*made);
}

}  // namespace

bool renew_host_record(Sql& sql, Core& core, const HostRow& host) {
  if (host.report.overlay_key.empty()) return false;
  const auto key = crypto::host_key_from_hex(host.report.overlay_key);
  if (!key) return false;  // the report was checked: what is in the database may be of a version that did not
  const auto hex = to_hex(*key);
  const auto authority = core.keys().authority.sha256();
  const auto known = select_one<HostRecordRow>(sql, "host = $1", host.name);
  if (known && known->overlay_key == hex && known->authority == authority && core.now_ms() < known->renew_ms) {
    return false;
  }
  const auto other = select_one<HostRecordRow>(sql, "overlay_key = $1 AND host <> $2", hex, host.name);
  const bool valid = other && core.now_ms() < other->renew_ms + kRenewAfter.count();
  if (other && !valid) sql.run("DELETE FROM host_records WHERE host = $1", other->host);  // it is this one, renamed
  if (valid) {
    core.log().error("host {}: its switch says that it has the key of host {}; it gets no record", host.name,
                     other->host);
    return false;
  }
  auto record = sign(core, host, *key, core.now_ms());
  if (!record) {
    core.log().error("host {}: {}", host.name, record.error().message);
    return false;
  }
  put(sql, HostRecordRow{host.name, hex, authority, std::move(*record), core.now_ms() + kRenewAfter.count()});
  return true;
}

std::string host_record_of(Sql& sql, const std::string& host) {
  const auto row = select_one<HostRecordRow>(sql, "host = $1", host);
  return row ? row->record : std::string();
}

}  // namespace godwit::cloud
