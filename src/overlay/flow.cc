#include "overlay/flow.h"

#include "sys/packet.h"
#include "wire/flow.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

// Protocol numbers (IANA).
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmp6 = 58;
constexpr std::uint8_t kSctp = 132;

void copy_address(ByteView from, std::array<std::byte, 16>& to) { std::ranges::copy(from, to.begin()); }

std::string address_text(const FlowKey& key, const std::array<std::byte, 16>& address) {
  if (key.ether_type == static_cast<std::uint16_t>(wire::EtherType::ipv4)) {
    return wire::to_string(wire::Ipv4{load_be32(address)});
  }
  sys::UdpEndpoint endpoint;
  std::ranges::copy(address, endpoint.ip.begin());
  return sys::ip_to_string(endpoint);
}

}  // namespace

std::size_t FlowKeyHash::operator()(const FlowKey& key) const {
  constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15ULL;
  std::uint64_t hash = (std::uint64_t{key.vni} << 32U) | (std::uint64_t{key.source_port} << 16U) | key.destination_port;
  for (const auto* address : {&key.source, &key.destination}) {
    for (std::size_t at = 0; at < address->size(); at += 8) {
      hash = (hash ^ load_be64(ByteView(*address).subspan(at))) * kSpread;
      hash ^= hash >> 29U;
    }
  }
  return hash ^ (std::uint64_t{key.protocol} * kSpread);
}

std::optional<FlowKey> read_flow(std::uint32_t vni, ByteView frame) {
  const auto found = wire::find_flow(frame);
  if (!found) return std::nullopt;
  FlowKey key;
  key.vni = vni;
  key.ether_type = static_cast<std::uint16_t>(found->type);
  key.protocol = found->protocol;
  const std::size_t address = found->type == wire::EtherType::ipv4 ? 4 : 16;
  copy_address(frame.subspan(found->addresses, address), key.source);
  copy_address(frame.subspan(found->addresses + address, address), key.destination);
  if (found->ports != 0) {
    key.source_port = load_be16(frame.subspan(found->ports));
    key.destination_port = load_be16(frame.subspan(found->ports + 2));
  }
  return key;
}

std::string source_of(const FlowKey& key) { return address_text(key, key.source); }
std::string destination_of(const FlowKey& key) { return address_text(key, key.destination); }

std::string protocol_of(const FlowKey& key) {
  switch (key.protocol) {
    case kIcmp: return "icmp";
    case kTcp: return "tcp";
    case kUdp: return "udp";
    case kIcmp6: return "icmp6";
    case kSctp: return "sctp";
    default: return std::to_string(key.protocol);
  }
}

}  // namespace godwit::overlay
