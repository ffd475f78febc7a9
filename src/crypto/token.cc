#include "crypto/token.h"

#include "crypto/digest.h"

#include <array>

namespace godwit::crypto {

std::string make_token(std::string_view prefix, sys::Random& random) {
  std::array<std::byte, 32> secret{};
  random.fill(secret);
  return fmt::format("{}_{}", prefix, to_base64url(secret));
}

std::string token_digest(std::string_view token) { return sha256_hex(as_bytes(token)); }

bool token_matches(std::string_view token, std::string_view digest) {
  return equal_secrets(as_bytes(token_digest(token)), as_bytes(digest));
}

}  // namespace godwit::crypto
