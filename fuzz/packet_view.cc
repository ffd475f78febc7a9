// A frame as security groups look at it, on its way out of one port and into another. Input: what follows the Ethernet
// addresses, the type first; the first byte chooses the groups.
#include "base/assert.h"
#include "overlay/test_host.h"
#include "support/input.h"

namespace {

using namespace godwit;
using namespace godwit::overlay;
using namespace godwit::overlay::testing;

constexpr TimePoint kNow{Seconds{1}};

// Guest 1, in a group that lets nobody in, and guest 2, in one that lets in who asks for port 22 over TCP, are on
// another host than guest 0.
wire::Network closed_network() {
  auto out = network_of({1, 2, 2});
  wire::GroupRule ssh{wire::GroupProtocol::tcp, 22, 22, -1, "0.0.0.0/0", {}};
  out.groups = {{"closed", {}, {}}, {"ssh", {ssh}, {}}};
  out.members[1].groups = {"closed"};
  out.members[2].groups = {"ssh"};
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static TestHost host(2, 1);
  static const bool ready = host.configure(kNow, closed_network(), {{1, 1}, {2, 1}}).has_value();
  GODWIT_ASSERT(ready);
  if (size < 2) return 0;
  const ByteView input(reinterpret_cast<const std::byte*>(data), std::min<std::size_t>(size, 1500));
  ByteVector frame =
      ethernet(guest_mac(1 + size % 2), guest_mac(0), static_cast<wire::EtherType>(load_be16(input)), input.subspan(2));
  const auto packet = read_packet(*wire::read_ethernet(frame), frame);
  GODWIT_ASSERT(!packet || !packet->later_fragment || (packet->ends.source_port == 0 && !packet->quoted));
  host.delivered.clear();
  host.record(kNow, 1, {RecordKind::frame, kAnswers, kVni, frame.size(), {}}, frame);
  for (const auto& each : host.delivered) {
    const auto type = wire::read_ethernet(frame)->type;
    if (type == wire::EtherType::arp) continue;
    GODWIT_ASSERT(packet);
    const bool neighbours = packet->neighbour_discovery;
    const bool ssh = packet->ipv4 && packet->ends.protocol == 6 && packet->ends.destination_port == 22;
    const bool about_ssh = packet->later_fragment || packet->quoted;
    GODWIT_ASSERT(neighbours || (each.instance == instance_id(2) && (ssh || about_ssh)));
  }
  return 0;
}
