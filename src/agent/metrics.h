// What an agent reports, in Prometheus' text format. Pure.
#pragma once

#include "wire/host.h"

#include <string>

namespace godwit::agent {

// Instances by state; migrations by role and phase, those that ended for as long as the cloud wants to hear of them;
// what their bytes crossed as.
[[nodiscard]] std::string agent_metrics(const wire::HostReport& report);

}  // namespace godwit::agent
