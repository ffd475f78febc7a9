// Which hosts join a network to a real LAN: the host's operator says so, and one of them does it.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

// The host has these now, and said those before. True when they differ. Call inside a writing transaction.
[[nodiscard]] bool note_lans(Sql& sql, const std::string& host, const std::vector<wire::LanReport>& before,
                             const std::vector<wire::LanReport>& now);
// The host of this cloud that does it for the network; nothing when none does, or another cloud's is named already: the
// first that was heard of. Two would make a loop.
[[nodiscard]] std::optional<HostRow> uplink_host(Sql& sql, Core& core, const wire::Network& network);
// The networks for which `host` does it.
[[nodiscard]] std::vector<std::string> networks_joined_at(Sql& sql, Core& core, const std::string& host);

}  // namespace godwit::cloud
