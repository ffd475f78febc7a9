#include "os/flow_steering.h"

#include <cstring>

namespace godwit::os {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kIpv6 = 40;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

std::uint8_t byte_at(ByteView frame, std::size_t at) { return std::to_integer<std::uint8_t>(frame[at]); }

template <class T>
T load(ByteView frame, std::size_t at) {
  T out;
  std::memcpy(&out, frame.data() + at, sizeof out);
  return out;
}

// The same whichever of the two is the source.
template <class T>
std::uint64_t both(T one, T other) {
  return static_cast<std::uint64_t>(one ^ other) * 0x9e3779b97f4a7c15ULL + static_cast<std::uint64_t>(one) + other;
}

std::uint64_t ports(ByteView frame, std::size_t at, std::uint8_t protocol) {
  if ((protocol != kTcp && protocol != kUdp) || frame.size() < at + 4) return 0;
  return both(load<std::uint16_t>(frame, at), load<std::uint16_t>(frame, at + 2));
}

std::uint32_t mixed(std::uint64_t addresses, std::uint64_t ports) {
  const auto all = (addresses ^ (ports << 17U)) * 0xd6e8feb86659fd93ULL + ports;
  return static_cast<std::uint32_t>((all * 0x9e3779b97f4a7c15ULL) >> 32U);
}

std::uint32_t hash_ipv4(ByteView frame) {
  const auto addresses = both(load<std::uint32_t>(frame, kEthernet + 12), load<std::uint32_t>(frame, kEthernet + 16));
  const std::size_t header_bytes = (byte_at(frame, kEthernet) & 0x0FU) * 4UL;
  const bool fragment = ((byte_at(frame, kEthernet + 6) & 0x3FU) | byte_at(frame, kEthernet + 7)) != 0;
  return mixed(addresses, fragment ? 0 : ports(frame, kEthernet + header_bytes, byte_at(frame, kEthernet + 9)));
}

std::uint32_t hash_ipv6(ByteView frame) {
  const auto addresses = both(load<std::uint64_t>(frame, kEthernet + 8) ^ load<std::uint64_t>(frame, kEthernet + 16),
                              load<std::uint64_t>(frame, kEthernet + 24) ^ load<std::uint64_t>(frame, kEthernet + 32));
  return mixed(addresses, ports(frame, kEthernet + kIpv6, byte_at(frame, kEthernet + 6)));
}

}  // namespace

std::uint32_t flow_hash(ByteView frame) {
  if (frame.size() < kEthernet) return 0;
  const bool v4 = byte_at(frame, 12) == 0x08 && byte_at(frame, 13) == 0x00;
  const bool v6 = byte_at(frame, 12) == 0x86 && byte_at(frame, 13) == 0xDD;
  if (v4 && frame.size() >= kEthernet + 20) return hash_ipv4(frame);
  if (v6 && frame.size() >= kEthernet + kIpv6) return hash_ipv6(frame);
  return 0;
}

void FlowSteering::came(ByteView frame, std::size_t queue) {
  last_[flow_hash(frame) % kPlaces] = static_cast<std::uint8_t>(queue + 1);
}

std::size_t FlowSteering::queue_for(ByteView frame) const {
  const auto place = flow_hash(frame) % kPlaces;
  return last_[place] != 0 ? last_[place] - 1U : place % queues_;
}

}  // namespace godwit::os
