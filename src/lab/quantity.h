// Rates, spans of time, losses and IPv4 addresses as people write them ("100mbit", "40ms", "0.5%", "10.101.0.0/24").
#pragma once

#include "base/result.h"
#include "base/time.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::lab {

// Bits a second, as tc's words have it: bit, kbit, mbit, gbit (powers of 1000). "unlimited" is 0.
// Errors: invalid_argument, as of all parsers here; the message quotes the text and gives an example.
[[nodiscard]] Result<std::uint64_t> parse_rate(std::string_view text);
[[nodiscard]] std::string format_rate(std::uint64_t bits_per_s);

// us, ms or s; at most 10 s.
[[nodiscard]] Result<Nanos> parse_span(std::string_view text);
[[nodiscard]] std::string format_span(Nanos span);

// Per cent, into parts per million: "0.5%" is 5000.
[[nodiscard]] Result<std::uint32_t> parse_loss(std::string_view text);
[[nodiscard]] std::string format_loss(std::uint32_t parts_per_million);

// A value: an IPv4 network; with length 32, one address. Host byte order.
struct Ipv4Prefix {
  std::uint32_t address{0};
  std::uint8_t length{32};

  [[nodiscard]] bool contains(std::uint32_t other) const {
    return length == 0 || ((address ^ other) >> (32U - length)) == 0;
  }
  [[nodiscard]] bool overlaps(Ipv4Prefix other) const { return contains(other.address) || other.contains(address); }
  bool operator==(const Ipv4Prefix&) const = default;
};

// "10.1.0.0/24", or an address alone. The bits after the prefix must be zero.
[[nodiscard]] Result<Ipv4Prefix> parse_prefix(std::string_view text);
[[nodiscard]] std::string format_address(std::uint32_t address);
[[nodiscard]] std::string format_prefix(Ipv4Prefix prefix);  // without "/32"

}  // namespace godwit::lab
