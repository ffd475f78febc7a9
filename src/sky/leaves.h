// Members of a cluster's network that are no instances but somebody's WireGuard: their names, addresses and clouds.
// Pure.
#pragma once

#include "sky/records.h"
#include "sky/sight.h"
#include "wire/leaf.h"

namespace godwit::sky {

// Draws its addresses and writes it into the network; nothing changes where it is there already. `cloud` serves it, of
// the cluster's: where none is named, the one that has most of the members. Errors: invalid_argument (name, key),
// conflict (another member has the name, or the key), exhausted (addresses, wire::kMostLeaves), not_found (the cloud is
// none of the cluster's).
[[nodiscard]] Result<> add_leaf(ClusterRecord& record, const wire::LeafRequest& request, sys::Random& random);
// Errors: not_found.
[[nodiscard]] Result<> remove_leaf(ClusterRecord& record, const std::string& name);

[[nodiscard]] wire::LeafList leaves_of(const ClusterRecord& record, const Sights& sights);

}  // namespace godwit::sky
