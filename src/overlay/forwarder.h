// The way of a frame through the switch: from a device to devices and datagrams, and from a datagram to devices. Pure.
//
// No learning from the wire: members' addresses and places are known. ARP is answered here, DHCP and everything for the
// gateway stays on this host, groups are replicated to the members' hosts only, unknown addresses are never flooded.
#pragma once

#include "overlay/counters.h"
#include "overlay/holder.h"
#include "overlay/seal.h"
#include "overlay/segments.h"

namespace godwit::overlay {

// After a correction about a member, the next one at the earliest so much later.
constexpr Millis kCorrectionEvery{20};

class Forwarder {
 public:
  Forwarder(Segments& segments, Holder& holder, Seal& seal, Counters& counters)
      : segments_(segments), holder_(holder), seal_(seal), counters_(counters) {}

  // A frame from the device packet.port. What it puts into `out` may lie in packet.room.
  void on_frame(sys::Packet& packet, Outbox& out);
  // A data datagram from packet.peer.
  void on_data(TimePoint now, const Header& header, sys::Packet& packet, Outbox& out);
  // A frame that was held back, to where its member is now.
  void let_go(Segment& segment, const Member& member, ByteView frame, Outbox& out);

 private:
  void from_guest(Segment& segment, const Port& port, sys::Packet& packet, Outbox& out);
  void from_gateway(Segment& segment, sys::Packet& packet, Outbox& out);
  // True: the frame is dealt with.
  [[nodiscard]] bool answer_arp(Segment& segment, sys::PortHandle asker, bool asker_is_gateway, ByteView frame,
                                Outbox& out);
  void to_gateway(Segment& segment, const sys::Packet& packet, Outbox& out);
  void to_local_ports(Segment& segment, sys::PortHandle except, ByteView frame, Outbox& out);
  void to_hosts(Segment& segment, ByteView frame, Outbox& out);
  void copy_to_host(Segment& segment, const sys::UdpEndpoint& host, std::uint8_t hops, ByteView frame, Outbox& out);
  void to_member(Segment& segment, const Member& member, sys::Packet& packet, Outbox& out);
  void to_local_member(const Member& member, ByteView frame, Outbox& out);
  void to_host(Segment& segment, const sys::UdpEndpoint& host, std::uint8_t hops, sys::Packet& packet, Outbox& out);
  // For an instance that is elsewhere: after it, while it has only just left, and a word to the sender.
  void stray(TimePoint now, Segment& segment, Member& member, const Header& header, sys::Packet& packet, Outbox& out);
  void drop(Drop why) { counters_.drop(why); }
  void note(bool put) {
    if (!put) drop(Drop::crowded);
  }

  Segments& segments_;
  Holder& holder_;
  Seal& seal_;
  Counters& counters_;
};

}  // namespace godwit::overlay
