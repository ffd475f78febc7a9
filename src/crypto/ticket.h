// Signed statements that travel as text: "gwt1.<payload>.<key id and signature>", both parts base64url.
// The signature is Ed25519 (RFC 8032) over "gwt1." | key id (8 bytes) | payload; the key id is the first 8 bytes of the
// SHA-256 of the public key. Whoever issues tickets decides what the payload says, when it expires and that it is used
// once.
#pragma once

#include "base/result.h"
#include "sys/clock.h"

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace godwit::crypto {

inline constexpr std::size_t kTicketBytes = 8UL * 1024;  // of the whole text

// The public half; a value.
class TicketVerifier {
 public:
  // 64 hex digits. Errors: invalid_argument.
  [[nodiscard]] static Result<TicketVerifier> from_hex(std::string_view text);
  [[nodiscard]] std::string to_hex() const;

  // The payload. Errors: not_authentic (altered, or another key's), invalid_argument (no ticket, or too long).
  [[nodiscard]] Result<std::string> open(std::string_view ticket) const;

 private:
  friend class TicketSigner;
  std::array<std::byte, 32> key_{};
};

class TicketSigner {
 public:
  [[nodiscard]] static TicketSigner generate(sys::Random& random);
  // The 32-byte private key in hex, to be kept in a file of mode 0600. Errors: invalid_argument.
  [[nodiscard]] static Result<TicketSigner> from_secret(std::string_view hex);
  [[nodiscard]] std::string secret() const;

  [[nodiscard]] const TicketVerifier& verifier() const { return verifier_; }
  // Errors: exhausted (the text would be longer than kTicketBytes).
  [[nodiscard]] Result<std::string> sign(std::string_view payload) const;

 private:
  explicit TicketSigner(std::array<std::byte, 32> key);
  std::array<std::byte, 32> key_;
  TicketVerifier verifier_;
};

}  // namespace godwit::crypto
