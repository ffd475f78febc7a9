// What a host shall be, computed from the database: the answer to its agent's sync.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

// The desired state of `host`, with its generation. The generation grows, durably, only when the content differs from
// what it stood for: call inside a full transaction. A host that is not known has generation 0.
[[nodiscard]] wire::DesiredState refresh_desired(Sql& sql, Core& core, const std::string& host);

// `network` with the locations of this cloud's own instances, where they are the newest.
[[nodiscard]] wire::Network with_own_locations(Sql& sql, Core& core, wire::Network network);

// This host had the instance, and this cloud knows that it has ended or left from there: what it still has is a corpse.
[[nodiscard]] bool is_known_gone(Sql& sql, const std::string& instance, const std::string& host);

// The instances that `host` reported last although they are neither its own nor on their way to it.
[[nodiscard]] std::vector<std::string> strays_of(Sql& sql, const HostRow& host);

// The CAs that hosts with a place on one of `networks` believe, this cloud's own among them; sorted by cloud.
[[nodiscard]] std::vector<wire::CloudCa> trusted_on(Sql& sql, Core& core, const std::vector<std::string>& networks);

}  // namespace godwit::cloud
