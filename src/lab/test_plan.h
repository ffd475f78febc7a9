// Plans for tests.
#pragma once

#include "lab/plan.h"

#include <string_view>

namespace godwit::lab {

// Two clouds whose private addresses cross the WAN.
inline constexpr std::string_view kOpenLab = R"(
[[cloud]]
name = "cloud-a"
nat = false
control = "a0"
hosts = ["a1", "a2"]
[[cloud]]
name = "cloud-b"
nat = false
control = "b0"
hosts = ["b1", "b2"]
[public]
nodes = ["user"]
)";

inline Plan plan_of(std::string_view toml) {
  auto config = parse_config(toml, "lab.toml").value();
  config.name = "t";
  return make_plan(std::move(config));
}

}  // namespace godwit::lab
