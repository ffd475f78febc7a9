// A switch that hears slices from other hosts and frames from its guest: records, announcements, Ethernet, ARP, IP,
// super-frames. Input: packets, each: whence (one byte), length (two bytes, big-endian), bytes.
//   'u' a datagram as it is, 'r' a slice in a session with a member's host, 's' in one with a stranger, 'm' a message
//   in a control record of a member's host with its right MAC put behind, 'g' from the guest (its first 10 bytes are
//   the offload), 'w' from the gateway; all else: the time goes on by so many ms
#include "base/assert.h"
#include "overlay/test_host.h"
#include "support/input.h"

namespace {

using namespace godwit;
using namespace godwit::overlay;

constexpr int kMostPackets = 64;

ByteVector authenticated(ByteView body) {
  const crypto::MacKey key(ByteVector(32, std::byte{0xaa}));
  ByteVector covered;
  append_be32(covered, overlay::testing::kVni);
  append(covered, body);
  ByteVector out(body.begin(), body.end());
  append(out, key.compute(covered));
  return out;
}

// In a datagram of host `from`.
ByteVector sealed(unsigned from, std::uint64_t counter, ByteView slice) {
  ByteVector out(kSealHeader);
  store_be32(out, overlay::testing::ClearSeal::kType);
  store_be32(ByteSpan(out).subspan(4), load_be32(overlay::testing::host_key(from)));
  store_be64(ByteSpan(out).subspan(8), counter);
  append(out, slice);
  out.resize(out.size() + kSealTag);
  return out;
}

void read_alone(ByteView bytes) {
  crypto::MacKey key(ByteVector(32, std::byte{0xaa}));
  const auto control = decode_control(overlay::testing::kVni, bytes, key);
  if (control) {
    const auto again = encode_control(overlay::testing::kVni, *control, key);
    GODWIT_ASSERT(decode_control(overlay::testing::kVni, again, key) == *control);
  }
  if (const auto header = read_record_header(bytes)) {
    ByteVector again(header->bytes());
    write_record_header(again, *header);
    GODWIT_ASSERT(read_record_header(again) == *header);
  }
  if (!wire::read_ethernet(bytes)) return;
  const auto payload = bytes.subspan(wire::kEthernetHeader);
  static_cast<void>(wire::read_arp(payload));
  static_cast<void>(wire::read_ipv4(payload));
  static_cast<void>(wire::read_ipv6_source(payload));
}

sys::Offload read_offload(ByteView bytes) {
  return {(bytes[0] & std::byte{1}) != std::byte{0},
          std::to_integer<std::uint8_t>(bytes[1]),
          load_be16(bytes.subspan(2)),
          load_be16(bytes.subspan(4)),
          load_be16(bytes.subspan(6)),
          load_be16(bytes.subspan(8))};
}

// Nothing of what a stranger or a liar sends reaches a guest, and no guest gets a segment that its network doesn't
// allow.
void deliver(overlay::testing::TestHost& host, TimePoint now, std::uint64_t counter, char from, ByteView bytes) {
  host.delivered.clear();
  host.sent.clear();
  const auto member = overlay::testing::host_address(2);
  switch (from) {
    case 'u': host.from_underlay(now, member, bytes); break;
    case 'r': host.from_underlay(now, member, sealed(2, counter, bytes)); break;
    case 'm': {
      const auto message = authenticated(bytes);
      host.record(now, 2, {RecordKind::control, 0, overlay::testing::kVni, message.size(), {}}, message);
      break;
    }
    case 's':
      host.from_underlay(now, member, sealed(9, counter, bytes));
      GODWIT_ASSERT(host.delivered.empty());
      break;
    case 'g': {
      if (bytes.size() < kOffloadBytes) break;
      const auto frame = bytes.subspan(kOffloadBytes);
      host.from_guest(now, 0, frame, read_offload(bytes));
      const auto header = wire::read_ethernet(frame);
      const bool honest = header && header->source == overlay::testing::guest_mac(0);
      if (!honest) GODWIT_ASSERT(host.sent.empty() && host.delivered.empty());
      break;
    }
    default: host.from_gateway(now, bytes); break;
  }
  constexpr std::size_t kLimit = 1514;
  for (const auto& each : host.delivered) {
    const auto& offload = each.offload;
    const std::size_t longest = offload.gso == 0 ? each.frame.size() : offload.header_bytes + offload.segment_bytes;
    GODWIT_ASSERT(longest <= kLimit);
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
    if (std::string_view("urmsgw").find(from) == std::string_view::npos) {
      now += Millis{length};
      host.poll(now);
      continue;
    }
    const auto bytes = input.take(length);
    read_alone(bytes);
    if (from == 'm') read_alone(authenticated(bytes));
    deliver(host, now, static_cast<std::uint64_t>(i), from, bytes);
  }
  return 0;
}
