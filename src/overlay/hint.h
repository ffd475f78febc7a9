// Announcements are hints, never authority: a member that announces itself here (ARP, or RARP as QEMU does when a guest
// arrives) while its record says another host was moved by another manager, or somebody lies. Nothing is delivered
// differently because of it; who reads observations is told. Pure.
#pragma once

#include "overlay/segments.h"
#include "wire/observation.h"

namespace godwit::overlay {

// Since the last frame of it.
constexpr std::chrono::minutes kHintLife{10};

// `frame`, which is dropped, came from the guest of `port`, or (nullptr) the network's LAN. Each has room for one hint.
void note_hint(TimePoint now, Segment& segment, Port* port, const wire::EthernetHeader& header, ByteView frame);

// Those that are fresh, and that no record has borne out; kMostAnnounced at most.
[[nodiscard]] std::vector<wire::AnnouncedElsewhere> hints_of(TimePoint now, const Segments& segments);

}  // namespace godwit::overlay
