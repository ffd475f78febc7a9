#include "crypto/location_record.h"

#include "base/id.h"
#include "crypto/statement_kind.h"

namespace godwit::crypto {
namespace {

constexpr std::size_t kNetworkBytes = 21;   // "net-" and 17 hex digits
constexpr std::size_t kInstanceBytes = 19;  // "i-" and 17 hex digits

std::unexpected<Error> bad(std::string_view rule) { return fail(Errc::invalid_argument, "{}", rule); }

Result<> check_ids(const std::string& network, const std::string& instance, std::uint64_t epoch) {
  if (!is_id("net", network)) return bad("network must be net- and 17 hex digits");
  if (!is_id("i", instance)) return bad("instance must be i- and 17 hex digits");
  if (epoch == 0) return bad("epoch must not be 0");
  return {};
}

struct Location {
  using Said = LocationRecord;
  static constexpr auto kKind = StatementKind::location;
  static constexpr std::string_view kName = "location record";

  static Result<> check(const Said& record) {
    if (!is_label(record.cloud) || !is_label(record.host)) return bad("cloud and host must be DNS labels");
    if (record.vni == 0 || record.vni >= (1U << 24U)) return bad("vni must be 1 to 16777215");
    if (record.grant != LocationGrant::here && record.grant != LocationGrant::if_handed_off) {
      return bad("grant must be 1 or 2");
    }
    return check_ids(record.network, record.instance, record.epoch);
  }
  static void write(const Said& record, ByteVector& out) {
    out.push_back(static_cast<std::byte>(record.grant));
    out.push_back(static_cast<std::byte>(record.vni >> 16U));
    append_be16(out, static_cast<std::uint16_t>(record.vni));
    append_be64(out, record.epoch);
    append(out, as_bytes(record.network));
    append(out, as_bytes(record.instance));
    append_short_text(out, record.cloud);
    append_short_text(out, record.host);
  }
  static void read(ByteReader& from, Said& out) {
    out.grant = static_cast<LocationGrant>(from.byte());
    out.vni = from.be24();
    out.epoch = from.be64();
    out.network = from.text(kNetworkBytes);
    out.instance = from.text(kInstanceBytes);
    out.cloud = from.short_text();
    out.host = from.short_text();
  }
  static const std::string& by(const Said& record) { return record.cloud; }
  static std::string about(const Said& record) { return fmt::format("of {} on {}", record.cloud, record.instance); }
};

struct Handing {
  using Said = HandOff;
  static constexpr auto kKind = StatementKind::hand_off;
  static constexpr std::string_view kName = "hand-off";

  static Result<> check(const Said& hand_off) {
    for (const auto& name : {hand_off.from_cloud, hand_off.to_cloud, hand_off.to_host}) {
      if (!is_label(name)) return bad("clouds and host must be DNS labels");
    }
    return check_ids(hand_off.network, hand_off.instance, hand_off.epoch);
  }
  static void write(const Said& hand_off, ByteVector& out) {
    append_be64(out, hand_off.epoch);
    append(out, as_bytes(hand_off.network));
    append(out, as_bytes(hand_off.instance));
    append_short_text(out, hand_off.from_cloud);
    append_short_text(out, hand_off.to_cloud);
    append_short_text(out, hand_off.to_host);
  }
  static void read(ByteReader& from, Said& out) {
    out.epoch = from.be64();
    out.network = from.text(kNetworkBytes);
    out.instance = from.text(kInstanceBytes);
    out.from_cloud = from.short_text();
    out.to_cloud = from.short_text();
    out.to_host = from.short_text();
  }
  static const std::string& by(const Said& hand_off) { return hand_off.from_cloud; }
  static std::string about(const Said& hand_off) {
    return fmt::format("of {} on {}", hand_off.from_cloud, hand_off.instance);
  }
};

}  // namespace

Result<ByteVector> encode_location_record(const LocationRecord& record) { return encode_as<Location>(record); }
Result<ByteVector> sign_location_record(const LocationRecord& record, const Key& authority) {
  return sign_as<Location>(record, authority);
}
Result<LocationRecord> read_location_record(ByteView record) { return read_as<Location>(record); }
Result<LocationRecord> open_location_record(ByteView record, const Authority& authority, WallTime now) {
  return open_as<Location>(record, authority, now);
}

Result<ByteVector> encode_hand_off(const HandOff& hand_off) { return encode_as<Handing>(hand_off); }
Result<ByteVector> sign_hand_off(const HandOff& hand_off, const Key& authority) {
  return sign_as<Handing>(hand_off, authority);
}
Result<HandOff> read_hand_off(ByteView hand_off) { return read_as<Handing>(hand_off); }
Result<HandOff> open_hand_off(ByteView hand_off, const Authority& authority, WallTime now) {
  return open_as<Handing>(hand_off, authority, now);
}

}  // namespace godwit::crypto
