#include "crypto/location_record.h"

#include "base/byte_reader.h"
#include "base/id.h"

namespace godwit::crypto {
namespace {

constexpr std::size_t kNetworkBytes = 21;   // "net-" and 17 hex digits
constexpr std::size_t kInstanceBytes = 19;  // "i-" and 17 hex digits

std::unexpected<Error> bad(std::string_view what, std::string_view rule) {
  return fail(Errc::invalid_argument, "{}: {}", what, rule);
}

bool lasts(Validity validity) {
  return validity.from.time_since_epoch() >= Millis{0} && validity.until > validity.from;
}

Result<> check_ids(std::string_view what, const std::string& network, const std::string& instance,
                   std::uint64_t epoch) {
  if (!is_id("net", network)) return bad(what, "network must be net- and 17 hex digits");
  if (!is_id("i", instance)) return bad(what, "instance must be i- and 17 hex digits");
  if (epoch == 0) return bad(what, "epoch must not be 0");
  return {};
}

Result<> check(const LocationRecord& record) {
  constexpr std::string_view kWhat = "location record";
  if (!is_label(record.cloud) || !is_label(record.host)) return bad(kWhat, "cloud and host must be DNS labels");
  if (record.vni == 0 || record.vni >= (1U << 24U)) return bad(kWhat, "vni must be 1 to 16777215");
  if (record.grant != LocationGrant::here && record.grant != LocationGrant::if_handed_off) {
    return bad(kWhat, "grant must be 1 or 2");
  }
  return check_ids(kWhat, record.network, record.instance, record.epoch);
}

Result<> check(const HandOff& hand_off) {
  constexpr std::string_view kWhat = "hand-off";
  for (const auto& name : {hand_off.from_cloud, hand_off.to_cloud, hand_off.to_host}) {
    if (!is_label(name)) return bad(kWhat, "clouds and host must be DNS labels");
  }
  return check_ids(kWhat, hand_off.network, hand_off.instance, hand_off.epoch);
}

// Whoever has said it, by the CA that is believed for that alone.
template <class Statement>
Result<Statement> open(Result<Statement> read, std::string Statement::* cloud, ByteView bytes,
                       const Authority& authority, WallTime now) {
  if (!read) return read;
  const auto& said_by = (*read).*cloud;
  const auto context = [&] { return fmt::format("{} on {}", said_by, read->instance); };
  if (said_by != authority.cloud()) {
    return fail(Errc::not_authentic, "{}: the CA of {} is believed for its own cloud alone", context(),
                authority.cloud());
  }
  const auto checked = authority.check(bytes, read->validity, now);
  if (!checked) return fail(checked, context());
  return read;
}

}  // namespace

// ---- location record

Result<ByteVector> encode_location_record(const LocationRecord& record) {
  const auto good = check(record);
  if (!good) return pass(good);
  if (!lasts(record.validity)) return bad("location record", "ends before it starts");
  auto out = begin_statement(StatementKind::location, record.validity);
  out.push_back(static_cast<std::byte>(record.grant));
  out.push_back(static_cast<std::byte>(record.vni >> 16U));
  append_be16(out, static_cast<std::uint16_t>(record.vni));
  append_be64(out, record.epoch);
  append(out, as_bytes(record.network));
  append(out, as_bytes(record.instance));
  append_short_text(out, record.cloud);
  append_short_text(out, record.host);
  return out;
}

Result<ByteVector> sign_location_record(const LocationRecord& record, const Key& authority) {
  auto encoded = encode_location_record(record);
  if (!encoded) return encoded;
  return sign_statement(std::move(*encoded), authority);
}

Result<LocationRecord> read_location_record(ByteView record) {
  LocationRecord out;
  const auto fields = statement_fields(record, StatementKind::location, out.validity);
  if (!fields) return fail(fields, "location record");
  ByteReader from(*fields);
  out.grant = static_cast<LocationGrant>(from.byte());
  out.vni = from.be24();
  out.epoch = from.be64();
  out.network = from.text(kNetworkBytes);
  out.instance = from.text(kInstanceBytes);
  out.cloud = from.short_text();
  out.host = from.short_text();
  if (!from.ended_in_order()) return bad("location record", "too short, or too long");
  const auto good = check(out);
  if (!good) return pass(good);
  return out;
}

Result<LocationRecord> open_location_record(ByteView record, const Authority& authority, WallTime now) {
  return open(read_location_record(record), &LocationRecord::cloud, record, authority, now);
}

// ---- hand-off

Result<ByteVector> encode_hand_off(const HandOff& hand_off) {
  const auto good = check(hand_off);
  if (!good) return pass(good);
  if (!lasts(hand_off.validity)) return bad("hand-off", "ends before it starts");
  auto out = begin_statement(StatementKind::hand_off, hand_off.validity);
  append_be64(out, hand_off.epoch);
  append(out, as_bytes(hand_off.network));
  append(out, as_bytes(hand_off.instance));
  append_short_text(out, hand_off.from_cloud);
  append_short_text(out, hand_off.to_cloud);
  append_short_text(out, hand_off.to_host);
  return out;
}

Result<ByteVector> sign_hand_off(const HandOff& hand_off, const Key& authority) {
  auto encoded = encode_hand_off(hand_off);
  if (!encoded) return encoded;
  return sign_statement(std::move(*encoded), authority);
}

Result<HandOff> read_hand_off(ByteView hand_off) {
  HandOff out;
  const auto fields = statement_fields(hand_off, StatementKind::hand_off, out.validity);
  if (!fields) return fail(fields, "hand-off");
  ByteReader from(*fields);
  out.epoch = from.be64();
  out.network = from.text(kNetworkBytes);
  out.instance = from.text(kInstanceBytes);
  out.from_cloud = from.short_text();
  out.to_cloud = from.short_text();
  out.to_host = from.short_text();
  if (!from.ended_in_order()) return bad("hand-off", "too short, or too long");
  const auto good = check(out);
  if (!good) return pass(good);
  return out;
}

Result<HandOff> open_hand_off(ByteView hand_off, const Authority& authority, WallTime now) {
  return open(read_hand_off(hand_off), &HandOff::from_cloud, hand_off, authority, now);
}

}  // namespace godwit::crypto
