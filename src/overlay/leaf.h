// A member that is no instance but somebody's WireGuard: a laptop, a router. Its packets have no Ethernet; the switch
// of the host that serves it puts them into frames with the member's MAC, so that to everybody else it is a member like
// another, whose ARP is answered from its location. Pure.
#pragma once

#include "overlay/counters.h"
#include "overlay/outbox.h"
#include "overlay/segments.h"

#include <functional>
#include <variant>

namespace godwit::overlay {

// What its device lets through where nobody has set it: WireGuard's usual MTU.
constexpr std::size_t kLeafMtu = 1420;

// The frame, in `out`'s memory, of what a leaf's session brought: WireGuard fills packets up to 16 bytes.
[[nodiscard]] std::variant<Drop, ByteSpan> frame_from_leaf(Segment& segment, const Port& leaf, ByteView payload,
                                                           Outbox& out);

// Its packets, one by one, of a frame for it. Returns why not; too_big: see too_big_for_leaf().
[[nodiscard]] std::optional<Drop> packets_for_leaf(ByteView frame, const sys::Offload& offload,
                                                   const std::function<void(ByteView)>& each);
// "Fragmentation needed" (RFC 792, RFC 1191), "packet too big" (RFC 4443), from the leaf to whoever sent the frame, in
// `out`'s memory; empty where nobody wants it: an IPv4 packet that may be fragmented, another error, a group's.
[[nodiscard]] ByteSpan too_big_for_leaf(const Segment& segment, const Port& leaf, ByteView frame, Outbox& out);

// Which peers of our sessions are leaves.
class Leaves {
 public:
  explicit Leaves(Seal& seal) : seal_(seal) {}

  // Those of the segments' ports, and no others. Who says that it has the key of a host or a relay is none.
  void update(TimePoint now, const Segments& segments);
  // Where `peer` is a leaf.
  [[nodiscard]] const Attachment* find(PeerId peer) const {
    const auto found = leaves_.find(peer);
    return found == leaves_.end() ? nullptr : &found->second;
  }

 private:
  Seal& seal_;
  std::unordered_map<PeerId, Attachment> leaves_;
};

}  // namespace godwit::overlay
