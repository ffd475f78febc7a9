// What a cloud says about its hosts, instances and images, signed with the key of its CA, so that switches of other
// clouds can check it by themselves: a few hundred bytes, valid for a while. Format: docs/formats/host-record.md.
#pragma once

#include "base/bytes.h"
#include "crypto/identity.h"

#include <memory>
#include <string>
#include <string_view>

namespace godwit::crypto {

inline constexpr std::size_t kStatementBytes = 512;  // no statement is longer
inline constexpr std::size_t kStatementSignature = 64;

// What is said; nothing that is signed as one kind reads as another.
enum class StatementKind : std::uint8_t { host = 1, location = 2, hand_off = 3, image = 4 };

// The public half of a cloud's CA: what is signed by it is believed of its own cloud alone. A value; cheap to copy.
class Authority {
 public:
  // `pem` must be the certificate of the CA "CLOUD.godwit". Errors: invalid_argument.
  [[nodiscard]] static Result<Authority> from_pem(std::string_view cloud, std::string_view pem);

  [[nodiscard]] const std::string& cloud() const { return cloud_; }
  // The signature at the end of `statement` is this CA's, and both are valid at `now`; `valid` is the statement's.
  // 65 us. Errors: not_authentic, timed_out (expired, or not valid yet).
  [[nodiscard]] Result<> check(ByteView statement, Validity valid, WallTime now) const;

 private:
  struct Impl;
  explicit Authority(std::string cloud, std::shared_ptr<const Impl> impl);
  std::string cloud_;
  std::shared_ptr<const Impl> impl_;  // shared: a value that holds OpenSSL's key
};

// ---- for the kinds: crypto/host_record.h, crypto/location_record.h, crypto/image_record.h

// The fields that every statement begins with. Times are cut to seconds.
[[nodiscard]] ByteVector begin_statement(StatementKind kind, Validity valid);
// One byte of length, then the text, of at most 255 bytes.
void append_short_text(ByteVector& out, std::string_view text);
// The bytes behind those fields, without the signature. Errors: invalid_argument (too short, too long, another version
// or kind, or it ends before it starts).
[[nodiscard]] Result<ByteView> statement_fields(ByteView statement, StatementKind kind, Validity& valid);
// `unsigned_bytes` and its signature. Errors: exhausted (it would be longer than kStatementBytes).
[[nodiscard]] Result<ByteVector> sign_statement(ByteVector unsigned_bytes, const Key& authority);

// Statements as text: base64url. Only the text that to_base64url() gives is taken. Errors: invalid_argument.
[[nodiscard]] Result<ByteVector> statement_from_text(std::string_view text);

}  // namespace godwit::crypto
