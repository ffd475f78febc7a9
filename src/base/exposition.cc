#include "base/exposition.h"

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace godwit {
namespace {

bool is_name(std::string_view name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, fits);
}

enum class Quotes : std::uint8_t { as_they_are, escaped };

void append_escaped(std::string& out, std::string_view text, Quotes quotes) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\\' || (c == '"' && quotes == Quotes::escaped)) out += '\\';
      out += c;
    }
  }
}

void append_number(std::string& out, double value) {
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), error == std::errc{} ? end : text.data());
}

}  // namespace

void Exposition::family(std::string_view name, Kind kind, std::string_view help) {
  GODWIT_ASSERT(is_name(name));
  name_ = name;
  text_ += "# HELP " + name_ + ' ';
  append_escaped(text_, help, Quotes::as_they_are);
  text_ += "\n# TYPE " + name_ + (kind == Kind::counter ? " counter\n" : " gauge\n");
}

void Exposition::sample(double value, Labels labels) {
  text_ += name_;
  char before = '{';
  for (const auto& [label, text] : labels) {
    GODWIT_ASSERT(is_name(label));
    text_ += before;
    text_ += label;
    text_ += "=\"";
    append_escaped(text_, text, Quotes::escaped);
    text_ += '"';
    before = ',';
  }
  if (before == ',') text_ += '}';
  text_ += ' ';
  append_number(text_, value);
  text_ += '\n';
}

}  // namespace godwit
