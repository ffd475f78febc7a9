// The OpenAPI 3.1 document of a router, as YAML: docs/api/*.yaml are written by it and held equal to it by a test.
#pragma once

#include "api/router.h"

namespace godwit::api {

struct ApiTitle {
  std::string title;
  std::string description;
};

[[nodiscard]] std::string openapi_yaml(const Router& router, const ApiTitle& title);

}  // namespace godwit::api
