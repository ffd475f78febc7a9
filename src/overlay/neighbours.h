// Answers who asks for a neighbour, by ARP or neighbour discovery, from the locations: such questions and answers are
// not flooded. Pure.
#pragma once

#include "overlay/counters.h"
#include "overlay/segments.h"

namespace godwit::overlay {

// Who asks: the guest of `port`, or (nullptr) the gateway of this host, or somebody on the network's LAN.
struct Asker {
  sys::PortHandle handle{0};
  const Port* port{nullptr};
  bool lan{false};
};

// What check_source() has passed, or a gateway's. True: the frame is dealt with. False: it goes on as any other; of
// neighbour discovery that is what concerns a link-local address that no MAC gives, which only its owner knows.
[[nodiscard]] bool answer_neighbour(Segment& segment, const Asker& asker, const wire::EthernetHeader& header,
                                    ByteView frame, Counters& counters, Outbox& out);

}  // namespace godwit::overlay
