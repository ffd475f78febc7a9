#include "wire/json.h"

#include "base/utf8.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace godwit::wire {
namespace {

void print_pretty(const json::value& value, std::size_t depth, std::string& out) {
  const std::string indent((depth + 1) * 2, ' ');
  const std::string outdent(depth * 2, ' ');
  if (const auto* object = value.if_object(); object && !object->empty()) {
    out += "{\n";
    std::size_t left = object->size();
    for (const auto& each : *object) {
      out += indent + json::serialize(json::value(each.key())) + ": ";
      print_pretty(each.value(), depth + 1, out);
      out += --left ? ",\n" : "\n";
    }
    out += outdent + "}";
  } else if (const auto* array = value.if_array(); array && !array->empty()) {
    out += "[\n";
    std::size_t left = array->size();
    for (const auto& each : *array) {
      out += indent;
      print_pretty(each, depth + 1, out);
      out += --left ? ",\n" : "\n";
    }
    out += outdent + "]";
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

Result<json::value> parse_json(std::string_view text, std::size_t limit_bytes) {
  if (text.size() > limit_bytes) {
    return fail(Errc::invalid_argument, "JSON: {} bytes where {} is the limit", text.size(), limit_bytes);
  }
  json::parse_options options;
  options.max_depth = kJsonDepth;
  boost::system::error_code error;
  auto value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return fail(Errc::invalid_argument, "JSON: {}", error.message());
  return value;
}

std::string print_json(const json::value& value) { return to_utf8(json::serialize(value)); }

std::string print_json_pretty(const json::value& value) {
  std::string out;
  print_pretty(value, 0, out);
  out += '\n';
  return to_utf8(std::move(out));
}

namespace detail {

std::unexpected<Error> wrong_type(const std::string& path, std::string_view expected) {
  return fail(Errc::invalid_argument, "{}: must be {}", path.empty() ? "the message" : path, expected);
}

Result<std::int64_t> read_int(const json::value& value, const std::string& path) {
  if (value.is_int64()) return value.get_int64();
  return wrong_type(path, "a whole number");
}

Result<std::uint64_t> read_uint(const json::value& value, const std::string& path) {
  if (value.is_uint64()) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<std::uint64_t>(value.get_int64());
  return wrong_type(path, "a whole number, not below 0");
}

Result<double> read_double(const json::value& value, const std::string& path) {
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  return wrong_type(path, "a number");
}

Result<std::string> read_string(const json::value& value, const std::string& path) {
  if (!value.is_string()) return wrong_type(path, "a string");
  return std::string(value.get_string());
}

}  // namespace detail
}  // namespace godwit::wire
