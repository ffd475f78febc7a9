// What makes a cloud's router a NAT of the kind that was asked for, as `nft -f` reads it. Words: RFC 4787.
#pragma once

#include "lab/config.h"

#include <string>

namespace godwit::lab {

// `outside` is the router's address on wan0. `published` are rules for the chain that translates destinations.
[[nodiscard]] std::string nat_rules(const CloudConfig& cloud, const Ipv4Prefix& outside, const std::string& published);

}  // namespace godwit::lab
