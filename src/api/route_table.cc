#include "api/route_table.h"

namespace godwit::api {
namespace {

constexpr std::size_t kPathLimit = 512;

// Takes the part up to the next slash off `path`.
std::string_view next_part(std::string_view& path) {
  const auto slash = path.find('/');
  const auto part = path.substr(0, slash);
  path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  return part;
}

}  // namespace

std::optional<RouteMatch> match_route(std::string_view pattern, std::string_view path) {
  if (path.size() > kPathLimit || path.ends_with('/')) return std::nullopt;
  RouteMatch match;
  while (!pattern.empty() && !path.empty()) {
    const auto want = next_part(pattern);
    const auto got = next_part(path);
    if (want.starts_with('{')) {
      if (got.empty()) return std::nullopt;
      match.parameters.emplace_back(got);
    } else if (want != got) {
      return std::nullopt;
    }
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return match;
}

}  // namespace godwit::api
