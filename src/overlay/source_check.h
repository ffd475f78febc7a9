// Whether a guest's frame says the truth about where it comes from, and says only what a guest may: no lie about MAC,
// IPv4 or IPv6 address, in headers, ARP and neighbour discovery; no router's or DHCP server's words. Pure.
#pragma once

#include "overlay/counters.h"
#include "overlay/segment.h"

#include <optional>

namespace godwit::overlay {

// Why the frame from the guest of `port` is to be dropped; nothing when it may pass. `header` is that of `frame`. A
// link-local address that nobody else is known to have becomes the port's by its use (LinkLocals).
[[nodiscard]] std::optional<Drop> check_source(Segment& segment, Port& port, const wire::EthernetHeader& header,
                                               ByteView frame);

// `address` is the port's: given by the network, by its MAC, or by its use.
[[nodiscard]] bool owns(const Segment& segment, const Port& port, const wire::Ipv6& address);

}  // namespace godwit::overlay
