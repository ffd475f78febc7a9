// How migrations have ended, and what they cost, as people read it. Pure.
#pragma once

#include "wire/cluster.h"

#include <map>
#include <string>

namespace godwit::cli {

// One migration: a line on how it ended. Several: a table of those that moved, a line for each that did not. Then what
// crossed the WAN, and as what. `names`: of the members, by instance.
[[nodiscard]] std::string outcomes_text(const wire::MigrationList& list,
                                        const std::map<std::string, std::string>& names);

}  // namespace godwit::cli
