#include "overlay/segments.h"

namespace godwit::overlay {

void Segments::index() {
  by_vni_.clear();
  attachments_.clear();
  for (const auto& [id, segment] : by_id_) {
    by_vni_[segment->vni()] = segment.get();
    if (segment->gateway_handle != 0) attachments_[segment->gateway_handle] = {segment.get(), nullptr};
    if (segment->lan_handle != 0) attachments_[segment->lan_handle] = {segment.get(), nullptr, true};
    for (auto& [instance, port] : segment->ports()) {
      if (port.handle != 0) attachments_[port.handle] = {segment.get(), &port};
    }
  }
}

// Where there is no room for it it is as good as lost on the way: whoever wants an answer sends it again.
void send_control(Segment& segment, PeerId peer, const Control& control, Outbox& out) {
  const auto message = encode_control(segment.vni(), control, segment.key());
  const RecordHeader header{RecordKind::control, 0, segment.vni(), message.size(), {}};
  [[maybe_unused]] const bool put = out.to_peer(peer, header, message);
}

}  // namespace godwit::overlay
