#include "overlay/port_filter.h"

#include "overlay/headers.h"

namespace godwit::overlay {
namespace {

using wire::RuleDirection;

constexpr std::uint8_t kFragmentOf = 44;  // in the place of a protocol: the fragments of one packet
// In the place of the remote port of an echo: who asks.
constexpr std::uint16_t kAskedHere = 1;
constexpr std::uint16_t kAskedThere = 2;

ConnectionKey key_of(const PacketEnds& ends, bool leaves) {
  if (leaves) return {ends.source, ends.destination, ends.source_port, ends.destination_port, ends.protocol};
  return {ends.destination, ends.source, ends.destination_port, ends.source_port, ends.protocol};
}

ConnectionKey key_of(const PacketView& packet, bool leaves) {
  auto key = key_of(packet.ends, leaves);
  if (packet.query || packet.answer) key.remote_port = packet.query == leaves ? kAskedHere : kAskedThere;
  return key;
}

ConnectionKey fragments_key(const PacketView& packet, bool leaves) {
  auto key = key_of(packet.ends, leaves);
  key.local_port = static_cast<std::uint16_t>(packet.fragment_id >> 16U);
  key.remote_port = static_cast<std::uint16_t>(packet.fragment_id);
  key.protocol = kFragmentOf;
  return key;
}

// What the packet would begin, or (`reverse`) what it would be the answer to.
Ask ask_of(const PacketView& packet, bool leaves, bool reverse, GroupMask theirs) {
  const auto& ends = packet.ends;
  Ask out{packet.ipv4,
          ends.protocol,
          reverse ? ends.source_port : ends.destination_port,
          packet.icmp_type,
          leaves ? ends.destination : ends.source,
          theirs};
  if (reverse && packet.answer) out.icmp_type = packet.ipv4 ? 8 : 128;
  return out;
}

Verdict verdict_of(const Connection& known, bool leaves) {
  return leaves && !known.begun_here ? Verdict::answers : Verdict::passes;
}

}  // namespace

Verdict PortFilter::leave(TimePoint now, const SecurityGroups& groups, const Sides& sides, const PacketView& packet) {
  return decide(now, {groups, sides, packet, true, false});
}

Verdict PortFilter::arrive(TimePoint now, const SecurityGroups& groups, const Sides& sides, const PacketView& packet,
                           bool answers) {
  return decide(now, {groups, sides, packet, false, answers});
}

Verdict PortFilter::decide(TimePoint now, const Passage& passage) {
  const auto& packet = passage.packet;
  const bool leaves = passage.leaves;
  if (packet.neighbour_discovery) return Verdict::passes;
  if (packet.later_fragment) {
    const auto* known = connections_.find(now, fragments_key(packet, leaves));
    return known ? verdict_of(*known, leaves) : Verdict::refused;
  }
  const auto allows = [&](RuleDirection direction, bool reverse) {
    const auto ask = ask_of(passage.packet, passage.leaves, reverse, passage.sides.theirs);
    return passage.groups.allows(passage.sides.mine, direction, ask);
  };
  const auto own = leaves ? RuleDirection::egress : RuleDirection::ingress;
  const auto opposite = leaves ? RuleDirection::ingress : RuleDirection::egress;
  if (packet.quoted) {
    // An error, about a packet that went the other way.
    const auto* known = connections_.find(now, key_of(*packet.quoted, !leaves));
    if (known) return verdict_of(*known, leaves);
  }
  // What is said to many, or by ICMP without being an echo, has no answer.
  if (packet.to_group || packet.unanswered) return allows(own, false) ? Verdict::passes : Verdict::refused;
  const auto key = key_of(packet, leaves);
  auto* known = connections_.find(now, key);
  if (known && !(packet.opens && known->closed())) {
    touch(now, *known, packet, leaves);
    if (!packet.first_fragment) return verdict_of(*known, leaves);
    return remember(now, passage, key, known->begun_here);
  }
  // In the middle of a connection of which we know nothing: it may be an answer, where its beginning would have passed.
  const bool middle = packet.ends.protocol == kTcp && !packet.synchronizes;
  const bool may_answer = leaves ? middle : passage.answers && !packet.opens;
  const bool begins = allows(own, false);
  if (leaves) {
    const bool continues = may_answer && allows(opposite, true);
    return begins || continues ? remember(now, passage, key, !continues) : Verdict::refused;
  }
  if (begins) return remember(now, passage, key, false);
  return may_answer && allows(opposite, true) ? remember(now, passage, key, true) : Verdict::refused;
}

Verdict PortFilter::remember(TimePoint now, const Passage& passage, const ConnectionKey& key, bool begun_here) {
  auto* known = connections_.find(now, key);
  if (!known || (passage.packet.opens && known->closed())) known = connections_.add(now, key, begun_here);
  if (!known) return Verdict::too_many;
  touch(now, *known, passage.packet, passage.leaves);
  const auto verdict = verdict_of(*known, passage.leaves);
  if (!passage.packet.first_fragment) return verdict;
  auto* fragments = connections_.add(now, fragments_key(passage.packet, passage.leaves), begun_here);
  if (!fragments) return Verdict::too_many;
  fragments->until = now + kFragments;
  return verdict;
}

}  // namespace godwit::overlay
