// The cloud's word on one of its hosts: with which key its switch speaks, and how. Byte by byte in
// docs/formats/host-record.md; why it is so: docs/decisions/location-records.md.
#pragma once

#include "crypto/statement.h"

#include <array>

namespace godwit::crypto {

inline constexpr std::chrono::hours kHostRecordLife{24};
inline constexpr std::chrono::minutes kStatementSkew{10};  // by which the clocks of two clouds may differ

using HostKey = std::array<std::byte, 32>;  // public, X25519 (RFC 7748); all zero is none

// How a host's switch speaks to others: said here, never guessed from what it sends.
enum class SessionProfile : std::uint8_t { native = 1, wireguard = 2 };

// A value.
struct HostRecord {
  std::string cloud;
  std::string host;
  HostKey key{};
  SessionProfile profile{SessionProfile::native};
  Validity validity;  // whole seconds
};

// The address of a host inside the overlay: fd67:6f64:7769::/48 (a unique local prefix, RFC 4193; "godwi"), and the
// first 80 bits of the SHA-256 of its key. So whoever knows the key knows the address, and nobody else can have it.
[[nodiscard]] std::array<std::byte, 16> host_address(const HostKey& key);
[[nodiscard]] std::string host_address_text(const HostKey& key);  // all eight groups
// Of the host whose record, as locations have it (base64url), this is; empty where it can't be read.
[[nodiscard]] std::string host_address_of(std::string_view record);

// 64 hex digits, not all of them 0. Errors: invalid_argument.
[[nodiscard]] Result<HostKey> host_key_from_hex(std::string_view text);

// Of what is signed: without the signature. Errors: invalid_argument (a name that is no DNS label, no key, a validity
// that ends before it starts).
[[nodiscard]] Result<ByteVector> encode_host_record(const HostRecord& record);
// Errors: those of encode_host_record().
[[nodiscard]] Result<ByteVector> sign_host_record(const HostRecord& record, const Key& authority);

// What a record says, whoever signed it. For any bytes. Errors: invalid_argument.
[[nodiscard]] Result<HostRecord> read_host_record(ByteView record);
// The same, believed: it is of a host of `authority`'s own cloud, signed by it, and valid at `now`.
// Errors: invalid_argument, not_authentic, timed_out.
[[nodiscard]] Result<HostRecord> open_host_record(ByteView record, const Authority& authority, WallTime now);

}  // namespace godwit::crypto
