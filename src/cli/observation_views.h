// What switches see of a network, as people read it. Pure: text out of messages.
#pragma once

#include "wire/observation.h"

#include <string>

namespace godwit::cli {

constexpr std::size_t kTopPairs = 20;
constexpr std::size_t kTopFlows = 10;

// Who talks most with whom, by bytes a second, then the largest flows. Names are those of the members.
[[nodiscard]] std::string top_text(const wire::NetworkObservation& seen, std::size_t pairs = kTopPairs,
                                   std::size_t flows = kTopFlows);
// How each host reaches the others: what is wrong first.
[[nodiscard]] std::string status_text(const wire::NetworkObservation& seen);

}  // namespace godwit::cli
