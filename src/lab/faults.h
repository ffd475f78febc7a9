// lab/faults.h: what people did to a lab's links (`godwit lab cut`, `rate`, `delay`, `loss`), and what that means for
// its delay line and routers. Pure, and level-triggered: all effects follow from the list of faults.
#pragma once

#include "lab/plan.h"

#include <optional>
#include <string>
#include <vector>

namespace godwit::lab {

// Between two places, both ways: clouds, public nodes, hosts, or "wan" (everywhere outside).
struct Fault {
  std::string a;
  std::string b;
  bool cut{false};
  std::optional<std::uint64_t> rate_bps{};
  std::optional<Nanos> round_trip{};
  std::optional<std::uint32_t> loss_ppm{};

  [[nodiscard]] bool between(std::string_view x, std::string_view y) const {
    return (a == x && b == y) || (a == y && b == x);
  }
  bool operator==(const Fault&) const = default;
};

struct Effects {
  WanTable table;
  std::vector<Command> commands;  // to the routers, for what the delay line can't see; the whole state of each
};

constexpr std::size_t kMostFaults = 64;

// Errors: not_found (no such place), unsupported (what this lab can't do between the two, and what it can).
[[nodiscard]] Result<> check_fault(const Plan& plan, const Fault& fault);
// `faults` have all been checked.
[[nodiscard]] Effects effects_of(const Plan& plan, const std::vector<Fault>& faults);

}  // namespace godwit::lab
