// Bearer tokens of people and of joining hosts. Who issues one keeps its digest alone: a stolen table opens nothing.
#pragma once

#include "sys/clock.h"

#include <string>
#include <string_view>

namespace godwit::crypto {

// `prefix`_ and 43 characters of base64url: 256 random bits. The prefix tells people and scanners what they found.
[[nodiscard]] std::string make_token(std::string_view prefix, sys::Random& random);

// What is stored: SHA-256 in lower-case hex. Without salt or stretching, as a token is random already.
[[nodiscard]] std::string token_digest(std::string_view token);

// True when `token` is the one that `digest` was stored of. Compares in constant time.
[[nodiscard]] bool token_matches(std::string_view token, std::string_view digest);

}  // namespace godwit::crypto
