// JSON of described structs: BOOST_DESCRIBE_STRUCT(T, (), (fields…)) is the one declaration of a message's shape.
//
// Reading is bounded and names the field that is wrong. A field that is missing keeps its default, one that nobody
// knows is passed over: so messages grow without breaking the other side. Enums travel as the names of
// BOOST_DESCRIBE_ENUM.
#pragma once

#include "base/result.h"

#include <boost/describe.hpp>
#include <boost/json/value.hpp>
#include <boost/mp11/algorithm.hpp>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace godwit::wire {

namespace json = boost::json;

constexpr std::size_t kJsonDepth = 32;

// Errors: invalid_argument with the offset, where `text` is no JSON, too deep, or longer than `limit_bytes`.
[[nodiscard]] Result<json::value> parse_json(std::string_view text, std::size_t limit_bytes = 4UL * 1024 * 1024);
// Always UTF-8, whatever the strings hold: no reader takes anything else.
[[nodiscard]] std::string print_json(const json::value& value);
// Indented by two spaces, for files and people.
[[nodiscard]] std::string print_json_pretty(const json::value& value);

namespace detail {

template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};
template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};
template <class T>
struct is_map : std::false_type {};
template <class T>
struct is_map<std::map<std::string, T>> : std::true_type {};

[[nodiscard]] std::unexpected<Error> wrong_type(const std::string& path, std::string_view expected);
[[nodiscard]] Result<std::int64_t> read_int(const json::value& value, const std::string& path);
[[nodiscard]] Result<std::uint64_t> read_uint(const json::value& value, const std::string& path);
[[nodiscard]] Result<double> read_double(const json::value& value, const std::string& path);
[[nodiscard]] Result<std::string> read_string(const json::value& value, const std::string& path);

template <class T>
using Members = boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;

}  // namespace detail

template <class T>
[[nodiscard]] json::value to_json(const T& from);
template <class T>
[[nodiscard]] Result<void> from_json(const json::value& value, T& into, const std::string& path);

// Text to a message and back.
template <class T>
[[nodiscard]] Result<T> decode(std::string_view text, std::size_t limit_bytes = 4UL * 1024 * 1024) {
  const auto value = parse_json(text, limit_bytes);
  if (!value) return pass(value);
  T out{};
  const auto read = from_json(*value, out, "");
  if (!read) return pass(read);
  return out;
}
template <class T>
[[nodiscard]] std::string encode(const T& message) {
  return print_json(to_json(message));
}

template <class T>
json::value to_json(const T& from) {
  if constexpr (std::is_same_v<T, json::value>) {
    return from;
  } else if constexpr (std::is_same_v<T, bool> || std::is_floating_point_v<T> || std::is_integral_v<T>) {
    return json::value(from);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return json::value(json::string_view(from.data(), from.size()));
  } else if constexpr (std::is_enum_v<T>) {
    return json::value(boost::describe::enum_to_string(from, "unknown"));
  } else if constexpr (detail::is_optional<T>::value) {
    return from ? to_json(*from) : json::value(nullptr);
  } else if constexpr (detail::is_vector<T>::value) {
    json::array out;
    for (const auto& each : from) out.push_back(to_json(each));
    return out;
  } else if constexpr (detail::is_map<T>::value) {
    json::object out;
    for (const auto& [key, each] : from) out[key] = to_json(each);
    return out;
  } else {
    json::object out;
    boost::mp11::mp_for_each<detail::Members<T>>(
        [&](auto member) { out[member.name] = to_json(from.*member.pointer); });
    return out;
  }
}

template <class T>
Result<void> from_json(const json::value& value, T& into, const std::string& path) {
  if constexpr (std::is_same_v<T, json::value>) {
    into = value;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_bool()) return detail::wrong_type(path, "true or false");
    into = value.get_bool();
  } else if constexpr (std::is_floating_point_v<T>) {
    const auto number = detail::read_double(value, path);
    if (!number) return pass(number);
    into = static_cast<T>(*number);
  } else if constexpr (std::is_signed_v<T> && std::is_integral_v<T>) {
    const auto number = detail::read_int(value, path);
    if (!number) return pass(number);
    if (!std::in_range<T>(*number)) return detail::wrong_type(path, "a smaller number");
    into = static_cast<T>(*number);
  } else if constexpr (std::is_integral_v<T>) {
    const auto number = detail::read_uint(value, path);
    if (!number) return pass(number);
    if (!std::in_range<T>(*number)) return detail::wrong_type(path, "a smaller number");
    into = static_cast<T>(*number);
  } else if constexpr (std::is_same_v<T, std::string>) {
    auto text = detail::read_string(value, path);
    if (!text) return pass(text);
    into = std::move(*text);
  } else if constexpr (std::is_enum_v<T>) {
    const auto text = detail::read_string(value, path);
    if (!text) return pass(text);
    // Describe reads up to the first NUL: what follows one must not pass unseen.
    if (text->find('\0') != std::string::npos || !boost::describe::enum_from_string(text->c_str(), into)) {
      return fail(Errc::invalid_argument, "{}: \"{}\" is no known value", path, text->substr(0, 64));
    }
  } else if constexpr (detail::is_optional<T>::value) {
    into.reset();
    if (value.is_null()) return {};
    return from_json(value, into.emplace(), path);
  } else if constexpr (detail::is_vector<T>::value) {
    if (!value.is_array()) return detail::wrong_type(path, "a list");
    into.clear();
    for (const auto& each : value.get_array()) {
      const auto element = fmt::format("{}[{}]", path, into.size());
      const auto read = from_json(each, into.emplace_back(), element);
      if (!read) return read;
    }
  } else if constexpr (detail::is_map<T>::value) {
    if (!value.is_object()) return detail::wrong_type(path, "an object");
    into.clear();
    for (const auto& each : value.get_object()) {
      const std::string key(each.key());
      const auto read = from_json(each.value(), into[key], fmt::format("{}.{:.64}", path, key));
      if (!read) return read;
    }
  } else {
    if (!value.is_object()) return detail::wrong_type(path, "an object");
    const auto& object = value.get_object();
    Result<void> outcome;
    boost::mp11::mp_for_each<detail::Members<T>>([&](auto member) {
      if (!outcome) return;
      const auto* field = object.if_contains(member.name);
      if (field)
        outcome = from_json(*field, into.*member.pointer, path.empty() ? member.name : path + "." + member.name);
    });
    return outcome;
  }
  return {};
}

}  // namespace godwit::wire
