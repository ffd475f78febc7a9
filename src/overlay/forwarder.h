// The way of a frame through the switch: from a device to devices and other hosts, and from a host to
// devices. Pure.
//
// No learning from the wire: members' addresses and places are known. ARP and neighbour discovery are answered here,
// DHCP and everything for the gateway stays on this host, groups are replicated to the members' hosts only and at a
// limited rate, unknown addresses are never flooded: they are on the LAN that one host joins the network to
// (overlay/lan.h), or nowhere.
#pragma once

#include "overlay/counters.h"
#include "overlay/flow_sampler.h"
#include "overlay/holder.h"
#include "overlay/segments.h"

namespace godwit::overlay {

// After a correction about a member, the next one at the earliest so much later.
constexpr Millis kCorrectionEvery{20};

// As it stands in somebody's buffer; a super-frame where `offload` says so.
struct Frame {
  ByteView bytes;
  sys::Offload offload;
};

class Forwarder {
 public:
  Forwarder(Segments& segments, Holder& holder, Counters& counters, FlowSampler& flows)
      : segments_(segments), holder_(holder), counters_(counters), flows_(flows) {}

  // A frame from the device packet.port. What it puts into `out` may lie in packet.bytes.
  void on_frame(TimePoint now, const sys::Packet& packet, Outbox& out);
  // A packet that the session of a WireGuard peer brought; `leaf` is its port.
  void on_leaf(TimePoint now, const Attachment& leaf, ByteView payload, Outbox& out);
  // A record of a frame, from a host that is who it says. What it puts into `out` may borrow `bytes`.
  void on_record(TimePoint now, PeerId from, const RecordHeader& header, ByteView bytes, Outbox& out);
  // A frame that was held back, to where its member is now.
  void let_go(Segment& segment, const Member& member, const HeldFrame& frame, Outbox& out);

 private:
  void from_guest(TimePoint now, Segment& segment, Port& port, const Frame& frame, Outbox& out);
  void from_gateway(Segment& segment, const Frame& frame, Outbox& out);
  void from_lan(TimePoint now, Segment& segment, const Frame& frame, Outbox& out);
  void to_gateway(Segment& segment, const Frame& frame, Outbox& out);
  void gateway_to_all(Segment& segment, const Frame& frame, Outbox& out);
  // Where their security groups let it: `flags` are those of its record.
  void to_local_ports(TimePoint now, Segment& segment, sys::PortHandle except, std::uint8_t flags, const Frame& frame,
                      Outbox& out);
  // To the LAN's device here, or the host that has it. A frame for an address that is no member's.
  void to_lan(TimePoint now, Segment& segment, std::uint8_t flags, const Frame& frame, Outbox& out);
  void to_leaf(Segment& segment, const Port& leaf, const Frame& frame, Outbox& out);
  void to_member(TimePoint now, Segment& segment, const Member& member, std::uint8_t flags, const Frame& frame,
                 Outbox& out);
  void to_local_member(TimePoint now, Segment& segment, const Member& member, std::uint8_t flags, const Frame& frame,
                       Outbox& out);
  void deliver(Segment& segment, const Member& member, const Frame& frame, Outbox& out);
  // It passes; else it is counted.
  [[nodiscard]] bool admitted(Verdict verdict);
  void to_host(Segment& segment, PeerId host, std::uint8_t hops, const Frame& frame, Outbox& out);
  // For an instance that is elsewhere: after it, while it has only just left, and a word to the sender.
  void stray(TimePoint now, PeerId from, Segment& segment, Member& member, std::uint8_t hops, const Frame& frame,
             Outbox& out);
  void count(Segment& segment, wire::Mac source, wire::Mac destination, const Frame& frame);
  void drop(Drop why) { counters_.drop(why); }
  void note(bool put) {
    if (!put) drop(Drop::crowded);
  }

  Segments& segments_;
  Holder& holder_;
  Counters& counters_;
  FlowSampler& flows_;
};

}  // namespace godwit::overlay
