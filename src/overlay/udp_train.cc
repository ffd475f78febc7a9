#include "overlay/udp_train.h"

#include "wire/checksum.h"
#include "wire/ethernet.h"

#include <algorithm>
#include <cstring>

namespace godwit::overlay {
namespace {

constexpr std::size_t kIp = wire::kEthernetHeader;
constexpr std::size_t kUdp = kIp + 20;
constexpr std::size_t kPayload = kUdp + 8;
constexpr std::size_t kLongest = 65'535;  // of IP
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint8_t kUdpProtocol = 17;
constexpr sys::Offload kPlain{true, 0, 0, 0, kUdp, 6};

// IPv4 without options, whole, whose identification means nothing (RFC 6864); UDP; lengths that agree.
bool can_join(ByteView frame, const sys::Offload& offload) {
  return offload == kPlain && frame.size() > kPayload && load_be16(frame.subspan(12)) == 0x0800 &&
         frame[kIp] == std::byte{0x45} && frame[kIp + 9] == std::byte{kUdpProtocol} &&
         load_be16(frame.subspan(kIp + 6)) == kDontFragment &&
         load_be16(frame.subspan(kIp + 2)) == frame.size() - kIp &&
         load_be16(frame.subspan(kUdp + 4)) == frame.size() - kUdp;
}

// Both have the same addresses, ports, priority and number of hops left.
bool same_flow(ByteView a, ByteView b) {
  const auto same = [&](std::size_t at, std::size_t size) { return std::memcmp(&a[at], &b[at], size) == 0; };
  return same(0, kIp + 2) && same(kIp + 8, 2) && same(kIp + 12, 12);
}

// Lengths and checksums of the whole, as one who sends segments fills them in: UDP's is the pseudo header's (RFC 768).
void set_lengths(ByteSpan train) {
  const auto ip = train.subspan(kIp);
  const auto udp_bytes = static_cast<std::uint16_t>(train.size() - kUdp);
  store_be16(ip.subspan(2), static_cast<std::uint16_t>(train.size() - kIp));
  store_be16(ip.subspan(10), 0);
  store_be16(ip.subspan(10), wire::checksum_of(ip.first(20)));
  store_be16(train.subspan(kUdp + 4), udp_bytes);
  store_be16(train.subspan(kUdp + 6), wire::fold_sum(wire::sum_of_words(ip.subspan(12, 8)) + kUdpProtocol + udp_bytes));
}

}  // namespace

bool UdpTrain::add(sys::OutPacket& packet, ByteView frame, const sys::Offload& offload, BatchMemory& memory) {
  if (!can_join(frame, offload)) return false;
  const bool going = !room_.empty() && packet.bytes.data() == room_.data();
  if (!going && !can_join(packet.bytes, packet.offload)) return false;
  if (!same_flow(packet.bytes, frame)) return false;
  const std::size_t segment = going ? packet.offload.segment_bytes : packet.bytes.size() - kPayload;
  const auto payload = frame.subspan(kPayload);
  const bool last_is_full = (packet.bytes.size() - kPayload) % segment == 0;  // behind a shorter one nothing follows
  if (payload.size() > segment || !last_is_full) return false;
  if (!going && !begin(packet, memory)) return false;
  const auto used = packet.bytes.size();
  if (used + payload.size() > room_.size()) return false;
  std::memcpy(&room_[used], payload.data(), payload.size());
  const auto train = room_.first(used + payload.size());
  set_lengths(train);
  packet.bytes = train;
  packet.offload = {true, static_cast<std::uint8_t>(sys::Gso::udp), kPayload, static_cast<std::uint16_t>(segment), kUdp,
                    6};
  return true;
}

bool UdpTrain::begin(sys::OutPacket& packet, BatchMemory& memory) {
  const auto segment = packet.bytes.size() - kPayload;
  const auto room = memory.take(std::min(kPayload + kMostFrames * segment, kIp + kLongest));
  if (room.empty()) return false;
  std::memcpy(room.data(), packet.bytes.data(), packet.bytes.size());
  packet.bytes = room.first(packet.bytes.size());
  room_ = room;
  return true;
}

}  // namespace godwit::overlay
