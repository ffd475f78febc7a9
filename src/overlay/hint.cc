#include "overlay/hint.h"

namespace godwit::overlay {
namespace {

// By ARP of one's own address (RFC 5227), or RARP (RFC 903), whose sender's address is that of the frame.
bool is_announcement(const wire::EthernetHeader& header, ByteView frame) {
  if (header.type == wire::EtherType::rarp) return true;
  if (header.type != wire::EtherType::arp) return false;
  const auto arp = wire::read_arp(frame.subspan(wire::kEthernetHeader));
  return arp && arp->sender_mac == header.source && arp->sender_ip == arp->target_ip;
}

bool is_elsewhere(const Member& member) { return !member.here && member.location.version > 0; }

bool is_fresh(TimePoint now, const std::optional<Hint>& hint) { return hint && now - hint->seen < kHintLife; }

void describe(TimePoint now, Segment& segment, const std::string& at, const std::optional<Hint>& hint,
              std::vector<wire::AnnouncedElsewhere>& out) {
  if (!is_fresh(now, hint) || out.size() >= wire::kMostAnnounced) return;
  const auto instance = to_string(hint->instance);
  const auto* member = segment.find(instance);
  if (member && is_elsewhere(*member)) out.push_back({segment.id(), instance, at});
}

}  // namespace

void note_hint(TimePoint now, Segment& segment, Port* port, const wire::EthernetHeader& header, ByteView frame) {
  const auto* member = segment.find(header.source);
  if (!member || !is_elsewhere(*member)) return;
  auto& hint = port ? port->hint : segment.lan_hint;
  const bool known = is_fresh(now, hint) && hint->instance == member->id;
  if (known) hint->seen = now;  // it is still there, whatever it says
  if (known || !is_announcement(header, frame)) return;
  // What a guest says of itself weighs more than what it says of others.
  const bool of_itself = port && is_fresh(now, hint) && port->member && hint->instance == port->member->id;
  if (!of_itself) hint = Hint{member->id, now};
}

std::vector<wire::AnnouncedElsewhere> hints_of(TimePoint now, const Segments& segments) {
  std::vector<wire::AnnouncedElsewhere> out;
  for (const auto& [id, segment] : segments.all()) {
    for (const auto& [instance, port] : segment->ports()) describe(now, *segment, instance, port.hint, out);
    describe(now, *segment, "", segment->lan_hint, out);
  }
  return out;
}

}  // namespace godwit::overlay
