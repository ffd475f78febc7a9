// What this cloud believes of where members are that others have, as sky passes it on: what they can prove.
// docs/decisions/location-records.md has the rule.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

// `said` with, for each member, the location that is believed from now on; `known` is what was believed before. What is
// not believed is logged. Checking costs 65 us a signature; what has not changed is not checked.
[[nodiscard]] wire::Network believe(Sql& sql, Core& core, wire::Network said, const wire::Network& known);

}  // namespace godwit::cloud
