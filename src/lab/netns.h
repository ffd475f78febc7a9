// lab/netns.h: named network namespaces, as ip-netns(8) keeps them in /run/netns.
#pragma once

#include "lab/plan.h"
#include "sys/files.h"

#include <string>
#include <vector>

namespace godwit::lab {

constexpr std::string_view kNetnsDirectory = "/run/netns/";

// Moves the calling thread. Errors: not_found, denied or io.
[[nodiscard]] Result<> enter_netns(const std::string& name);

// Names that start with `prefix`, sorted.
[[nodiscard]] std::vector<std::string> netns_with_prefix(const std::string& prefix);

// Every process of this machine that is in one of the namespaces; those that vanish meanwhile are left out.
[[nodiscard]] std::vector<sys::ProcessId> processes_in(const std::vector<std::string>& netns);

// True when the caller itself is in one of them.
[[nodiscard]] bool inside_of(const std::vector<std::string>& netns);

// Runs a command to its end. Errors: not_found (no such program), io (says which line of a batch failed, and why),
// timed_out (after kCommandLimit; the program is killed).
constexpr Seconds kCommandLimit{30};
[[nodiscard]] Result<> run_command(const Command& command);

}  // namespace godwit::lab
