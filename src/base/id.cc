#include "base/id.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit {
namespace {

constexpr std::size_t kDigits = 17;  // as EC2's long ids have

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); }

}  // namespace

std::string make_id(std::string_view prefix, ByteView random) {
  GODWIT_ASSERT(random.size() >= 9);
  return std::string(prefix) + "-" + to_hex(random.first(9)).substr(0, kDigits);
}

bool is_id(std::string_view prefix, std::string_view text) {
  if (text.size() != prefix.size() + 1 + kDigits || !text.starts_with(prefix) || text[prefix.size()] != '-')
    return false;
  const auto digits = text.substr(prefix.size() + 1);
  return std::all_of(digits.begin(), digits.end(), is_lower_hex);
}

bool is_label(std::string_view text) {
  if (text.empty() || text.size() > 63 || !is_alnum(text.front()) || !is_alnum(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

}  // namespace godwit
