// A switch that hears datagrams from anywhere and frames from its guest: overlay headers, announcements, Ethernet, ARP,
// IP. Input: packets, each: whence (one byte), length (two bytes, big-endian), bytes.
//   'u' from the host of a member, 's' from a stranger, 'm' from a member's host with its right MAC put behind,
//   'g' from the guest, 'w' from the gateway; all else: the time goes on by so many ms
#include "base/assert.h"
#include "overlay/test_host.h"
#include "support/input.h"

namespace {

using namespace godwit;
using namespace godwit::overlay;

constexpr int kMostPackets = 64;

ByteVector authenticated(ByteView body) {
  const crypto::MacKey key(ByteVector(32, std::byte{0xaa}));
  ByteVector out(body.begin(), body.end());
  append(out, key.compute(body));
  return out;
}

void read_alone(ByteView bytes) {
  crypto::MacKey key(ByteVector(32, std::byte{0xaa}));
  const auto header = read_header(bytes);
  if (header && header->type == DatagramType::control) {
    const auto control = decode_control(bytes, key);
    if (control) GODWIT_ASSERT(decode_control(encode_control(header->vni, *control, key), key) == *control);
  }
  if (!wire::read_ethernet(bytes)) return;
  const auto payload = bytes.subspan(wire::kEthernetHeader);
  static_cast<void>(wire::read_arp(payload));
  static_cast<void>(wire::read_ipv4(payload));
  static_cast<void>(wire::read_ipv6_source(payload));
}

// Nothing of what a stranger or a liar sends reaches a guest.
void deliver(overlay::testing::TestHost& host, TimePoint now, char from, ByteView bytes) {
  host.delivered.clear();
  host.sent.clear();
  switch (from) {
    case 'u': host.from_underlay(now, overlay::testing::host_address(2), bytes); break;
    case 'm': host.from_underlay(now, overlay::testing::host_address(2), authenticated(bytes)); break;
    case 's':
      host.from_underlay(now, overlay::testing::host_address(9), bytes);
      GODWIT_ASSERT(host.delivered.empty());
      break;
    case 'g': {
      host.from_guest(now, 0, bytes);
      const auto header = wire::read_ethernet(bytes);
      const bool honest = header && header->source == overlay::testing::guest_mac(0);
      if (!honest) GODWIT_ASSERT(host.sent.empty() && host.delivered.empty());
      break;
    }
    default: host.from_gateway(now, bytes); break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  TimePoint now{Seconds{1}};
  overlay::testing::TestHost host(1, 1);
  // Guests 0 and 2 are here, 1 and 3 on the other host.
  GODWIT_ASSERT(host.configure(now, overlay::testing::network_of({1, 2, 1, 2}), {{0, 1}, {2, 1}}));
  for (int i = 0; i < kMostPackets && !input.empty(); ++i) {
    const auto from = static_cast<char>(input.byte());
    const std::size_t length = static_cast<std::size_t>(input.byte()) << 8U | input.byte();
    if (std::string_view("umsgw").find(from) == std::string_view::npos) {
      now += Millis{length};
      host.poll(now);
      continue;
    }
    const auto bytes = input.take(length);
    read_alone(bytes);
    if (from == 'm') read_alone(authenticated(bytes));
    deliver(host, now, from, bytes);
  }
  return 0;
}
