// A network that one host joins to a real LAN. Members keep their addresses there wherever they run: that host answers
// for those that are elsewhere (proxy ARP, with the member's own MAC), tells the LAN after each move where frames for
// it go (gratuitous ARP, RFC 5227 section 2.3), and carries frames between the two. Pure.
//
// What the LAN's own hosts say to each other stays there, and so does DHCP of either side.
#pragma once

#include "overlay/counters.h"
#include "overlay/outbox.h"
#include "overlay/segments.h"

#include <deque>
#include <string>

namespace godwit::overlay {

// The instance of a PortName that means the network's device on the LAN: no instance has that id.
inline constexpr const char* kLanPort = "lan";

// Why a frame that came in from the LAN may not go on; nothing when it may. Nobody there speaks as a member or gateway.
[[nodiscard]] std::optional<Drop> refuse_from_lan(Segment& segment, const wire::EthernetHeader& header, ByteView frame);
// A guest's question for an address that is no member's: it is for the LAN's machines alone.
[[nodiscard]] bool asks_for_lan(Segment& segment, const wire::EthernetHeader& header, ByteView frame);
// The frame is between a DHCP client and a server.
[[nodiscard]] bool is_dhcp(const wire::EthernetHeader& header, ByteView frame);

// Tells LANs of members that have come to be somewhere else: at once, and twice more, for who didn't hear it.
class LanAnnouncer {
 public:
  static constexpr std::array<Millis, 3> kAfter{Millis{0}, Millis{250}, Millis{1000}};

  // Takes up those that the segments have placed since they were last asked.
  void take(TimePoint now, const Segments& segments);
  void poll(TimePoint now, const Segments& segments, Outbox& out, Counters& counters);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

 private:
  struct Due {
    TimePoint at{};
    std::string network;
    std::vector<std::string> instances;
  };
  std::deque<Due> due_;
};

}  // namespace godwit::overlay
