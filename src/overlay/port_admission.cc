#include "overlay/port_admission.h"

namespace godwit::overlay {
namespace {

PortFilter& filter_of(Segments& segments, Port& port) {
  if (!port.filter) port.filter = std::make_unique<PortFilter>(segments.connection_budget());
  return *port.filter;
}

GroupMask groups_of(Segment& segment, wire::Mac mac) {
  const auto* member = segment.find(mac);
  return member ? member->groups : 0;
}

// Neighbours find each other whatever groups say; of all else only IP can be allowed.
Verdict unfiltered(const wire::EthernetHeader& header) {
  return header.type == wire::EtherType::arp ? Verdict::passes : Verdict::refused;
}

}  // namespace

Verdict may_leave(TimePoint now, Segments& segments, Segment& segment, Port& port, ByteView frame) {
  if (!segment.filtered()) return Verdict::passes;
  const auto header = *wire::read_ethernet(frame);
  const auto packet = read_packet(header, frame);
  if (!packet) return unfiltered(header);
  const Sides sides{port.member ? port.member->groups : 0, groups_of(segment, header.destination)};
  return filter_of(segments, port).leave(now, segment.groups(), sides, *packet);
}

Verdict may_arrive(TimePoint now, Segments& segments, Segment& segment, Port& port, ByteView frame, bool answers) {
  if (!segment.filtered()) return Verdict::passes;
  const auto header = *wire::read_ethernet(frame);
  const auto packet = read_packet(header, frame);
  if (!packet) return unfiltered(header);
  const Sides sides{port.member ? port.member->groups : 0, groups_of(segment, header.source)};
  return filter_of(segments, port).arrive(now, segment.groups(), sides, *packet, answers);
}

}  // namespace godwit::overlay
