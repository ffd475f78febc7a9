// An IPv6 packet of a guest: extension headers, fragments, neighbour discovery. Input: what follows the Ethernet
// header.
#include "base/assert.h"
#include "overlay/source_check.h"
#include "overlay/test_host.h"
#include "support/input.h"

namespace {

using namespace godwit;

constexpr unsigned kGuest = 0;

void read_alone(ByteView packet) {
  const auto ip = wire::read_ipv6(packet);
  if (!ip) return;
  GODWIT_ASSERT(ip->payload >= wire::kIpv6Header && ip->payload <= packet.size());
  const auto message = wire::read_neighbour_message(*ip, packet);
  GODWIT_ASSERT(!message || (!message->target.is_multicast() && ip->hop_limit == 255 && !ip->fragment));
  GODWIT_ASSERT(*wire::parse_ipv6(wire::to_string(ip->source)) == ip->source);
}

// What a guest says of addresses that are not its own reaches nobody, and neither does a router's word.
void check(const overlay::testing::TestHost& host, ByteView packet) {
  const auto ip = wire::read_ipv6(packet);
  const bool heard = !host.sent.empty() || !host.delivered.empty();
  if (!heard) return;
  GODWIT_ASSERT(ip);
  GODWIT_ASSERT(ip->source != overlay::testing::guest_ip6(1) && ip->source != overlay::testing::guest_ip6(2));
  if (ip->fragment_at != 0 || ip->protocol != wire::kIcmpv6 || packet.size() == ip->payload) return;
  const auto type = static_cast<wire::Icmpv6Type>(packet[ip->payload]);
  GODWIT_ASSERT(type != wire::Icmpv6Type::router_advertisement && type != wire::Icmpv6Type::redirect);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::overlay::testing;
  const ByteView packet(reinterpret_cast<const std::byte*>(data), std::min<std::size_t>(size, 1500));
  read_alone(packet);
  static TestHost host(1, 1);
  static const bool ready = host.configure(TimePoint{Seconds{1}}, network_of({1, 1, 2}), {{0, 1}, {1, 1}}).has_value();
  GODWIT_ASSERT(ready);
  for (const auto to : {guest_mac(1), guest_mac(2), wire::multicast_mac(wire::kAllNodes)}) {
    host.sent.clear();
    host.delivered.clear();
    static std::int64_t time_s = 1;
    host.from_guest(TimePoint{Seconds{++time_s}}, kGuest,
                    ethernet(to, guest_mac(kGuest), wire::EtherType::ipv6, packet));
    check(host, packet);
  }
  return 0;
}
