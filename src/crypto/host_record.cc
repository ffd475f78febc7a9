#include "crypto/host_record.h"

#include "base/byte_reader.h"
#include "base/id.h"

#include <algorithm>

namespace godwit::crypto {
namespace {

bool is_key(const HostKey& key) {
  return std::ranges::any_of(key, [](std::byte each) { return each != std::byte{0}; });
}

bool is_profile(SessionProfile profile) {
  return profile == SessionProfile::native || profile == SessionProfile::wireguard;
}

Result<> check(const HostRecord& record) {
  const auto bad = [](std::string_view rule) { return fail(Errc::invalid_argument, "host record: {}", rule); };
  if (!is_label(record.cloud) || !is_label(record.host)) return bad("cloud and host must be DNS labels");
  if (!is_key(record.key)) return bad("has no key");
  if (!is_profile(record.profile)) return bad("profile must be 1 or 2");
  return {};
}

}  // namespace

Result<HostKey> host_key_from_hex(std::string_view text) {
  HostKey key{};
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != key.size()) return fail(Errc::invalid_argument, "overlay key: must be 64 hex digits");
  std::copy(bytes->begin(), bytes->end(), key.begin());
  if (!is_key(key)) return fail(Errc::invalid_argument, "overlay key: must not be 0");
  return key;
}

Result<ByteVector> encode_host_record(const HostRecord& record) {
  const auto good = check(record);
  if (!good) return pass(good);
  if (record.validity.from.time_since_epoch() < Millis{0} || record.validity.until <= record.validity.from) {
    return fail(Errc::invalid_argument, "host record: ends before it starts");
  }
  auto out = begin_statement(StatementKind::host, record.validity);
  out.push_back(static_cast<std::byte>(record.profile));
  append(out, record.key);
  append_short_text(out, record.cloud);
  append_short_text(out, record.host);
  return out;
}

Result<ByteVector> sign_host_record(const HostRecord& record, const Key& authority) {
  auto encoded = encode_host_record(record);
  if (!encoded) return encoded;
  return sign_statement(std::move(*encoded), authority);
}

Result<HostRecord> read_host_record(ByteView record) {
  HostRecord out;
  const auto fields = statement_fields(record, StatementKind::host, out.validity);
  if (!fields) return fail(fields, "host record");
  ByteReader from(*fields);
  out.profile = static_cast<SessionProfile>(from.byte());
  const auto key = from.take(out.key.size());
  std::copy(key.begin(), key.end(), out.key.begin());
  out.cloud = from.short_text();
  out.host = from.short_text();
  if (!from.ended_in_order()) return fail(Errc::invalid_argument, "host record: too short, or too long");
  const auto good = check(out);
  if (!good) return pass(good);
  return out;
}

Result<HostRecord> open_host_record(ByteView record, const Authority& authority, WallTime now) {
  auto out = read_host_record(record);
  if (!out) return out;
  const auto context = [&] { return fmt::format("host record of {}.{}", out->host, out->cloud); };
  if (out->cloud != authority.cloud()) {
    return fail(Errc::not_authentic, "{}: the CA of {} is believed for its own cloud alone", context(),
                authority.cloud());
  }
  const auto checked = authority.check(record, out->validity, now);
  if (!checked) return fail(checked, context());
  return out;
}

}  // namespace godwit::crypto
