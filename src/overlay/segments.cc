#include "overlay/segments.h"

#include <algorithm>

namespace godwit::overlay {

void Segments::index() {
  by_vni_.clear();
  attachments_.clear();
  for (const auto& [id, segment] : by_id_) {
    by_vni_[segment->vni()] = segment.get();
    if (segment->gateway_handle != 0) attachments_[segment->gateway_handle] = {segment.get(), nullptr};
    for (auto& [instance, port] : segment->ports()) {
      if (port.handle != 0) attachments_[port.handle] = {segment.get(), &port};
    }
  }
}

void send_control(Segment& segment, const sys::UdpEndpoint& peer, const Control& control, Outbox& out) {
  const auto datagram = encode_control(segment.vni(), control, segment.key());
  const auto scratch = out.scratch(datagram.size());
  if (scratch.empty()) return;  // as good as lost on the way: whoever wants an answer sends it again
  std::copy(datagram.begin(), datagram.end(), scratch.begin());
  out.to_peer(peer, scratch);
}

}  // namespace godwit::overlay
