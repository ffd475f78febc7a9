// lab/line.h: the delay line's process: moves packets between the sites' TUN devices through a Wan (lab/wan.h), and
// answers on its control socket. `godwit lab up` starts it in the lab's wan namespace.
//
// Control: a SOCK_SEQPACKET unix socket; one datagram of JSON each way. A table (an array) replaces the one in force,
// and
// {} is the answer; anything else asks for the counters.
#pragma once

#include "lab/wan_table.h"

#include <string>

namespace godwit::lab {

// Reads DIRECTORY/wan.json, listens on DIRECTORY/wan.sock, writes one byte to descriptor `ready` and serves until it
// is killed. Returns only with an error.
[[nodiscard]] Result<> run_line(const std::string& directory, int ready);

// The other end. Errors: unavailable (the delay line is gone), protocol.
[[nodiscard]] Result<> set_table(const std::string& directory, const WanTable& table);
[[nodiscard]] Result<WanCounters> ask_counters(const std::string& directory);

}  // namespace godwit::lab
