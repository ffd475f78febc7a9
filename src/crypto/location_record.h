// The cloud's word on where an instance is, and on whom it gives it to. Byte by byte in docs/formats/host-record.md;
// who believes what, and why: docs/decisions/location-records.md.
#pragma once

#include "crypto/statement.h"

namespace godwit::crypto {

inline constexpr std::chrono::hours kLocationRecordLife{24};

// How far a location record stands by itself.
enum class LocationGrant : std::uint8_t {
  here = 1,           // the instance is at the host
  if_handed_off = 2,  // it may be: with a hand-off of this epoch to this host
};

// "Instance, of that network, is at one of my hosts with that epoch." A value.
struct LocationRecord {
  std::string cloud;
  std::string host;
  std::string network;  // "net-0123…"
  std::uint32_t vni{0};
  std::string instance;  // "i-0123…"
  std::uint64_t epoch{0};
  LocationGrant grant{LocationGrant::here};
  Validity validity;  // whole seconds
};

// "The instance is mine, and I give that epoch of it to that host." A value.
struct HandOff {
  std::string from_cloud;
  std::string to_cloud;
  std::string to_host;
  std::string network;
  std::string instance;
  std::uint64_t epoch{0};  // that the other one gets
  Validity validity;       // whole seconds
};

// Of what is signed: without the signature. Errors: invalid_argument.
[[nodiscard]] Result<ByteVector> encode_location_record(const LocationRecord& record);
[[nodiscard]] Result<ByteVector> encode_hand_off(const HandOff& hand_off);
// Errors: those of encode_…().
[[nodiscard]] Result<ByteVector> sign_location_record(const LocationRecord& record, const Key& authority);
[[nodiscard]] Result<ByteVector> sign_hand_off(const HandOff& hand_off, const Key& authority);

// What it says, whoever signed it. For any bytes. Errors: invalid_argument.
[[nodiscard]] Result<LocationRecord> read_location_record(ByteView record);
[[nodiscard]] Result<HandOff> read_hand_off(ByteView hand_off);
// The same, believed: `authority` is the CA of `cloud` (`from_cloud`), has signed it, and it is valid at `now`.
// Errors: invalid_argument, not_authentic, timed_out.
[[nodiscard]] Result<LocationRecord> open_location_record(ByteView record, const Authority& authority, WallTime now);
[[nodiscard]] Result<HandOff> open_hand_off(ByteView hand_off, const Authority& authority, WallTime now);

}  // namespace godwit::crypto
