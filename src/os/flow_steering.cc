#include "os/flow_steering.h"

#include "wire/flow.h"

#include <cstring>

namespace godwit::os {
namespace {

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

std::uint32_t mixed(std::uint64_t addresses, std::uint64_t ports) {
  const auto all = (addresses ^ (ports << 17U)) * 0xd6e8feb86659fd93ULL + ports;
  return static_cast<std::uint32_t>((all * 0x9e3779b97f4a7c15ULL) >> 32U);
}

std::uint64_t of_addresses(ByteView frame, const wire::FlowFields& flow) {
  if (flow.type == wire::EtherType::ipv4) {
    return both(load<std::uint32_t>(frame, flow.addresses), load<std::uint32_t>(frame, flow.addresses + 4));
  }
  return both(load<std::uint64_t>(frame, flow.addresses) ^ load<std::uint64_t>(frame, flow.addresses + 8),
              load<std::uint64_t>(frame, flow.addresses + 16) ^ load<std::uint64_t>(frame, flow.addresses + 24));
}

// All fragments of a packet count without, as only the first has them.
std::uint64_t of_ports(ByteView frame, const wire::FlowFields& flow) {
  if (flow.ports == 0 || flow.fragment) return 0;
  return both(load<std::uint16_t>(frame, flow.ports), load<std::uint16_t>(frame, flow.ports + 2));
}

}  // namespace

std::uint32_t flow_hash(ByteView frame) {
  const auto flow = wire::find_flow(frame);
  return flow ? mixed(of_addresses(frame, *flow), of_ports(frame, *flow)) : 0;
}

void FlowSteering::came(ByteView frame, std::size_t queue) {
  last_[flow_hash(frame) % kPlaces] = static_cast<std::uint8_t>(queue + 1);
}

std::size_t FlowSteering::queue_for(ByteView frame) const {
  const auto place = flow_hash(frame) % kPlaces;
  return last_[place] != 0 ? last_[place] - 1U : place % queues_;
}

}  // namespace godwit::os
