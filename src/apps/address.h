// Addresses as options have them.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::apps {

struct Address {
  std::string host;
  std::uint16_t port{0};
};

// "10.0.0.1:4791", "[fd00::1]:4791". Errors: invalid_argument, naming the option.
[[nodiscard]] Result<Address> parse_address(std::string_view option, std::string_view text);

}  // namespace godwit::apps
