// Identifiers as people and EC2's tools see them: a prefix and 17 hex digits ("i-0123456789abcdef0").
#pragma once

#include "base/bytes.h"

#include <string>
#include <string_view>

namespace godwit {

// `random` holds at least 9 bytes, of which 68 bits are used.
[[nodiscard]] std::string make_id(std::string_view prefix, ByteView random);

// True for `prefix`-[0-9a-f]{17}: what may stand in a path, a file name or a table.
[[nodiscard]] bool is_id(std::string_view prefix, std::string_view text);

// True for [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?: a DNS label (RFC 1123), as names of clouds, hosts, clusters and members
// are.
[[nodiscard]] bool is_label(std::string_view text);

}  // namespace godwit
