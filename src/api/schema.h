// JSON schemas of described structs, so that the OpenAPI document can't say anything else than the code.
#pragma once

#include "wire/json.h"

#include <boost/core/demangle.hpp>
#include <functional>
#include <map>
#include <string>
#include <typeinfo>

namespace godwit::api {

using Schemas = std::map<std::string, wire::json::object>;  // by name: components.schemas

template <class T>
[[nodiscard]] wire::json::object schema_of(Schemas& named);

// A described struct that a route takes or gives.
struct TypeRef {
  std::string name{};
  std::function<void(Schemas&)> declare{};
};

// "InstanceSpec" of godwit::wire::InstanceSpec.
template <class T>
[[nodiscard]] std::string type_name() {
  const auto whole = boost::core::demangle(typeid(T).name());
  return whole.substr(whole.rfind(':') + 1);
}

template <class T>
[[nodiscard]] TypeRef type_ref() {
  return {type_name<T>(), [](Schemas& named) { static_cast<void>(schema_of<T>(named)); }};
}

namespace detail {

template <class T>
wire::json::object integer_schema() {
  wire::json::object out{{"type", "integer"}};
  if constexpr (sizeof(T) < 8) {
    out["minimum"] = std::numeric_limits<T>::min();
    out["maximum"] = std::numeric_limits<T>::max();
  } else {
    out["format"] = "int64";
    if constexpr (std::is_unsigned_v<T>) out["minimum"] = 0;
  }
  return out;
}

template <class T>
wire::json::object enum_schema() {
  wire::json::array names;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>([&](auto each) { names.emplace_back(each.name); });
  return {{"type", "string"}, {"enum", std::move(names)}};
}

// A field that is left out keeps this value: shown where it is not just empty.
template <class T>
void add_default(wire::json::object& schema, const T& value) {
  if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    schema["default"] = wire::to_json(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!value.empty()) schema["default"] = value;
  }
}

template <class T>
void declare_struct(Schemas& named) {
  const auto name = type_name<T>();
  if (named.contains(name)) return;
  named[name];  // before its members: they may refer back
  const T defaults{};
  wire::json::object properties;
  boost::mp11::mp_for_each<wire::detail::Members<T>>([&](auto member) {
    using Field = std::remove_cvref_t<decltype(defaults.*member.pointer)>;
    auto schema = schema_of<Field>(named);
    add_default(schema, defaults.*member.pointer);
    properties[member.name] = std::move(schema);
  });
  named[name] = {{"type", "object"}, {"properties", std::move(properties)}};
}

}  // namespace detail

template <class T>
wire::json::object schema_of(Schemas& named) {
  if constexpr (std::is_same_v<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (std::is_floating_point_v<T>) {
    return {{"type", "number"}};
  } else if constexpr (std::is_integral_v<T>) {
    return detail::integer_schema<T>();
  } else if constexpr (std::is_same_v<T, std::string>) {
    return {{"type", "string"}};
  } else if constexpr (std::is_enum_v<T>) {
    return detail::enum_schema<T>();
  } else if constexpr (wire::detail::is_optional<T>::value) {
    return schema_of<typename T::value_type>(named);
  } else if constexpr (wire::detail::is_vector<T>::value) {
    return {{"type", "array"}, {"items", schema_of<typename T::value_type>(named)}};
  } else if constexpr (wire::detail::is_map<T>::value) {
    return {{"type", "object"}, {"additionalProperties", schema_of<typename T::mapped_type>(named)}};
  } else {
    detail::declare_struct<T>(named);
    return {{"$ref", "#/components/schemas/" + type_name<T>()}};
  }
}

}  // namespace godwit::api
