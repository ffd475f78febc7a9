// UTF-8 (RFC 3629), where text of others must be what it says it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit {

struct CodePoint {
  std::uint32_t point{0};
  std::size_t bytes{0};  // that it took; 0: `text` does not begin with valid UTF-8
};
// `text` is not empty.
[[nodiscard]] CodePoint first_code_point(std::string_view text);

// `text` with U+FFFD for every byte that belongs to no code point.
[[nodiscard]] std::string to_utf8(std::string text);

}  // namespace godwit
