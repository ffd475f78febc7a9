// What each frame costs for `network top` and the metrics: here alone, so that bench/observation_cost can leave it out.
#include "overlay/forwarder.h"
#include "overlay/offload.h"

namespace godwit::overlay {

void Forwarder::count(Segment& segment, wire::Mac source, wire::Mac destination, const Frame& frame) {
  const auto frames = frames_of(frame.offload, frame.bytes);
  const auto bytes = frame.bytes.size() + (frames - 1) * frame.offload.header_bytes;
  counters_.count({segment.vni(), source, destination}, frames, bytes);
  flows_.see(segment.vni(), frame.bytes, frames, bytes);
}

}  // namespace godwit::overlay
