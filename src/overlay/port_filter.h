// What of a port's packets passes its security groups: what they allow to begin, and what belongs to it. Pure.
//
// Both ends of a conversation look at it, each for its own port. The end that answers says so to the other one's switch
// (an answer's record is marked), which believes it where its own port might have begun that: so a conversation goes on
// when one of its ends moves to a host that has never heard of it, or when a switch is restarted.
#pragma once

#include "overlay/connection_table.h"
#include "overlay/security_groups.h"

namespace godwit::overlay {

struct Sides {
  GroupMask mine{0};    // of the port's member
  GroupMask theirs{0};  // of the other one; 0 where it is no member
};

enum class Verdict : std::uint8_t {
  refused,
  too_many,  // it may begin, but no more can be remembered
  passes,
  answers,  // passes, and belongs to what the other side began
};
[[nodiscard]] constexpr bool passes(Verdict verdict) { return verdict >= Verdict::passes; }

class PortFilter {
 public:
  explicit PortFilter(ConnectionBudget& budget) : connections_(budget) {}

  [[nodiscard]] Verdict leave(TimePoint now, const SecurityGroups& groups, const Sides& sides,
                              const PacketView& packet);
  // `answers`: the other side's switch says that it does.
  [[nodiscard]] Verdict arrive(TimePoint now, const SecurityGroups& groups, const Sides& sides,
                               const PacketView& packet, bool answers);
  [[nodiscard]] const ConnectionTable& connections() const { return connections_; }

 private:
  struct Passage {
    const SecurityGroups& groups;
    const Sides& sides;
    const PacketView& packet;
    bool leaves{false};
    bool answers{false};
  };
  [[nodiscard]] Verdict decide(TimePoint now, const Passage& passage);
  [[nodiscard]] Verdict remember(TimePoint now, const Passage& passage, const ConnectionKey& key, bool begun_here);

  ConnectionTable connections_;
};

}  // namespace godwit::overlay
