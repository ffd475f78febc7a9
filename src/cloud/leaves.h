// Members of networks that are no instances but somebody's WireGuard (wire::Member::wireguard_key): which host of this
// cloud serves each.
#pragma once

#include "cloud/hosts.h"

namespace godwit::cloud {

// The network has these leaves now, of those that sky wants this cloud to serve. Call inside a writing transaction.
void take_leaves(Sql& sql, Core& core, const wire::Network& network);

// Gives each leaf a host where there is one that can serve it; it keeps the one that it has while that lives, for its
// WireGuard dials that one. With a new host comes a higher version of its location, signed. True when one has another
// host now. Call inside a writing transaction.
[[nodiscard]] bool settle_leaves(Sql& sql, Core& core, const Hosts& hosts);

}  // namespace godwit::cloud
