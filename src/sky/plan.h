// From what a user asks for to a record with every name, address and id drawn: done once, before the answer.
#pragma once

#include "sky/addresses.h"
#include "sky/records.h"
#include "wire/cluster.h"

#include <vector>

namespace godwit::sky {

constexpr std::size_t kMaxMembers = 240;  // they fit a /24, and their names fit the user data of each

// Names, sizes, types, keys. Errors: invalid_argument, not_found (an instance type), naming the field.
[[nodiscard]] Result<> validate(const wire::ClusterSpec& spec);

// What may be chosen from: the accounts of the clouds that the spec names, in its order; else all.
// An unreachable cloud that is named is taken at its word: its quota is unknown, so unlimited.
// Errors: exhausted (no cloud has room: says what each lacks), unavailable (none can be reached), those of addresses.h.
[[nodiscard]] Result<ClusterRecord> draw_cluster(const wire::ClusterSpec& spec,
                                                 const std::vector<wire::AccountView>& accounts,
                                                 const std::vector<const ClusterRecord*>& others, sys::Random& random,
                                                 WallTime now);

}  // namespace godwit::sky
