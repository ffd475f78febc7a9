// Single fields of a JSON object that is not described as a struct: QMP's arguments, answers and events. What is
// missing, or of another type, is empty.
#pragma once

#include "wire/json.h"

#include <optional>
#include <string>

namespace godwit::wire {

[[nodiscard]] inline std::string text_at(const json::object& object, std::string_view key) {
  const auto* field = object.if_contains(key);
  return field && field->is_string() ? std::string(field->get_string()) : std::string();
}

[[nodiscard]] inline std::optional<std::uint64_t> number_at(const json::object& object, std::string_view key) {
  const auto* field = object.if_contains(key);
  if (field && field->is_uint64()) return field->get_uint64();
  if (!field || !field->is_int64() || field->get_int64() < 0) return std::nullopt;
  return static_cast<std::uint64_t>(field->get_int64());
}

[[nodiscard]] inline bool flag_at(const json::object& object, std::string_view key, bool otherwise) {
  const auto* field = object.if_contains(key);
  return field && field->is_bool() ? field->get_bool() : otherwise;
}

[[nodiscard]] inline const json::object& object_at(const json::object& object, std::string_view key) {
  static const json::object kNone;
  const auto* field = object.if_contains(key);
  return field && field->is_object() ? field->get_object() : kNone;
}

}  // namespace godwit::wire
