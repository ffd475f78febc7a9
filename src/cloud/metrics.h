// What a cloud's operator watches, in Prometheus' text format.
#pragma once

#include "cloud/status.h"

namespace godwit::cloud {

// Hosts and what is used of each, instances by state, migrations under way by phase.
[[nodiscard]] std::string cloud_metrics(const CloudStatus& status);

}  // namespace godwit::cloud
