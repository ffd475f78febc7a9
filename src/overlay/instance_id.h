// An instance's id ("i-0123456789abcdef0") in nine bytes instead of a string: a switch knows very many.
#pragma once

#include "base/id.h"

#include <fmt/format.h>

#include <charconv>
#include <compare>
#include <cstdint>
#include <optional>

namespace godwit::overlay {

struct InstanceId {
  std::uint64_t high{0};  // the first 16 digits
  std::uint8_t low{0};    // the last

  auto operator<=>(const InstanceId&) const = default;
};

// Nothing where it is no instance's id.
[[nodiscard]] inline std::optional<InstanceId> read_instance_id(std::string_view text) {
  if (!is_id("i", text)) return std::nullopt;
  InstanceId out;
  const auto* digits = text.data() + 2;
  std::from_chars(digits, digits + 16, out.high, 16);
  std::from_chars(digits + 16, digits + 17, out.low, 16);
  return out;
}
[[nodiscard]] inline std::string to_string(InstanceId id) { return fmt::format("i-{:016x}{:x}", id.high, id.low); }

}  // namespace godwit::overlay
