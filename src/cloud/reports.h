// What a host's report means for the instances and migrations that the cloud knows.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

// Takes the newest report of `host` into the tables, in the transaction that records it. True when anything that others
// may see has changed. An instance never becomes another host's by a report of the instance alone: only by one of its
// migration.
[[nodiscard]] bool apply_report(Sql& sql, Core& core, const HostRow& host);

// An instance is on its way to this host.
[[nodiscard]] bool awaits_arrival(Sql& sql, const std::string& host);

// The instance has left this cloud: kept as a sign of where it went.
void mark_moved(InstanceRow& row, const std::string& to_cloud, std::int64_t now_ms);

}  // namespace godwit::cloud
