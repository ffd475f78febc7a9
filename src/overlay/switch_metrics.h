// What a switch counts, in Prometheus' text format. Pure.
#pragma once

#include "overlay/counters.h"
#include "sys/packet.h"
#include "wire/observation.h"

#include <functional>
#include <string>

namespace godwit::overlay {

// Pairs are summed up by network: of each pair `godwit network top` tells. `network_of`: the id of a VNI.
[[nodiscard]] std::string switch_metrics(const Counters& counters, const sys::PacketCounts& packets,
                                         const wire::Observation& seen,
                                         const std::function<std::string(std::uint32_t)>& network_of);

}  // namespace godwit::overlay
