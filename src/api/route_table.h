// Which call of an API a request is: a table of methods and paths, in which "{name}" stands for one part of a path.
#pragma once

#include "base/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::api {

struct RouteMatch {
  std::vector<std::string> parameters;  // what stood for the {…}, in order; never empty, never with a slash
};

// `pattern` as in "/v1/clusters/{name}".
[[nodiscard]] std::optional<RouteMatch> match_route(std::string_view pattern, std::string_view path);

}  // namespace godwit::api
