// What the security groups of a network say of a frame at one of this host's ports. Pure.
#pragma once

#include "overlay/segments.h"

namespace godwit::overlay {

// The guest of `port` sends `frame`, whose source is checked. Costs nothing where the network is open.
[[nodiscard]] Verdict may_leave(TimePoint now, Segments& segments, Segment& segment, Port& port, ByteView frame);
// It comes from another member, here or elsewhere, whose switch says whether it `answers` something.
[[nodiscard]] Verdict may_arrive(TimePoint now, Segments& segments, Segment& segment, Port& port, ByteView frame,
                                 bool answers);

}  // namespace godwit::overlay
