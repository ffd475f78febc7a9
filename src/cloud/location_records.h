// Where this cloud's instances are, signed by its CA, and the hand-offs that led here
// (docs/decisions/location-records.md): made when an agent claims a location, kept, and made anew when half of its life
// has passed.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

// Makes the records that are due, of what runs on the host and as it says itself. True when one is another now. Call
// inside a writing transaction.
[[nodiscard]] bool renew_location_records(Sql& sql, Core& core, const HostRow& host);

// For one that arrives: that it will be at `host` with that epoch, if it is handed off. As base64url. Errors:
// invalid_argument, internal.
[[nodiscard]] Result<std::string> location_if_handed_off(Core& core, const wire::Network& network,
                                                         const std::string& instance, const std::string& host,
                                                         std::uint64_t epoch);

// For one that leaves: the hand-offs that led here, and one more, to the next host. Errors: invalid_argument, internal.
[[nodiscard]] Result<std::vector<std::string>> hand_off(Sql& sql, Core& core, const InstanceRow& instance,
                                                        const std::string& to_cloud, const std::string& to_host);

}  // namespace godwit::cloud
