// Rows of tables as described structs: BOOST_DESCRIBE_STRUCT names the columns, T::kTable the table and T::kKey its
// primary key. Strings and enums are TEXT, numbers and flags BIGINT, everything else JSON in a TEXT.
#pragma once

#include "cloud/database.h"
#include "wire/json.h"

namespace godwit::cloud {
namespace detail {

template <class T>
SqlValue to_sql(const T& field) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<std::int64_t>(field);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return field;
  } else if constexpr (std::is_enum_v<T>) {
    return std::string(boost::describe::enum_to_string(field, "unknown"));
  } else {
    return wire::encode(field);
  }
}

template <class T>
void from_sql(const SqlValue& value, T& field) {
  if constexpr (std::is_integral_v<T>) {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (!number) throw SqlFailure("database: text where a number must be");
    field = static_cast<T>(*number);
  } else {
    const auto* text = std::get_if<std::string>(&value);
    if (!text) throw SqlFailure("database: a number where text must be");
    if constexpr (std::is_same_v<T, std::string>) {
      field = *text;
    } else if constexpr (std::is_enum_v<T>) {
      if (!boost::describe::enum_from_string(text->c_str(), field)) throw SqlFailure("database: unknown " + *text);
    } else {
      auto read = wire::decode<T>(*text, 64UL * 1024 * 1024);
      if (!read) throw SqlFailure("database: " + read.error().message);
      field = std::move(*read);
    }
  }
}

template <class T>
const std::string& column_list() {
  static const std::string list = [] {
    std::string out;
    boost::mp11::mp_for_each<wire::detail::Members<T>>(
        [&](auto member) { out += (out.empty() ? "" : ", ") + std::string(member.name); });
    return out;
  }();
  return list;
}

template <class T>
std::string upsert_statement() {
  std::string places;
  std::string sets;
  int number = 0;
  boost::mp11::mp_for_each<wire::detail::Members<T>>([&](auto member) {
    places += fmt::format("{}${}", number ? ", " : "", number + 1);
    sets += fmt::format("{}{} = excluded.{}", number ? ", " : "", member.name, member.name);
    ++number;
  });
  return fmt::format("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}", T::kTable, column_list<T>(),
                     places, T::kKey, sets);
}

}  // namespace detail

// The rows for which `where` ("tenant = $1 ORDER BY id") holds.
template <class T, class... P>
std::vector<T> select(Sql& sql, std::string_view where, const P&... parameters) {
  const auto statement = fmt::format("SELECT {} FROM {} WHERE {}", detail::column_list<T>(), T::kTable, where);
  std::vector<T> out;
  for (const auto& row : sql.rows(statement, parameters...)) {
    auto& record = out.emplace_back();
    std::size_t i = 0;
    boost::mp11::mp_for_each<wire::detail::Members<T>>(
        [&](auto member) { detail::from_sql(row[i++], record.*member.pointer); });
  }
  return out;
}

template <class T, class... P>
std::optional<T> select_one(Sql& sql, std::string_view where, const P&... parameters) {
  auto rows = select<T>(sql, where, parameters...);
  if (rows.empty()) return {};
  return std::move(rows.front());
}

// Inserts the row, or replaces the one with its key.
template <class T>
void put(Sql& sql, const T& record) {
  static const std::string statement = detail::upsert_statement<T>();
  std::vector<SqlValue> values;
  boost::mp11::mp_for_each<wire::detail::Members<T>>(
      [&](auto member) { values.push_back(detail::to_sql(record.*member.pointer)); });
  sql.all(statement, values);
}

}  // namespace godwit::cloud
