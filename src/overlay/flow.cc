#include "overlay/flow.h"

#include "sys/packet.h"
#include "wire/ethernet.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

// Protocol numbers (IANA).
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmp6 = 58;
constexpr std::uint8_t kSctp = 132;

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;

void copy_address(ByteView from, std::array<std::byte, 16>& to) { std::ranges::copy(from, to.begin()); }

void read_ports(FlowKey& key, ByteView transport) {
  const bool has_ports = key.protocol == kTcp || key.protocol == kUdp || key.protocol == kSctp;
  if (!has_ports || transport.size() < 4) return;
  key.source_port = load_be16(transport);
  key.destination_port = load_be16(transport.subspan(2));
}

bool read_ipv4_flow(FlowKey& key, ByteView packet) {
  if (packet.size() < kIpv4Header) return false;
  const auto header = (static_cast<std::size_t>(packet[0]) & 0xfU) * 4;
  if ((packet[0] >> 4U) != std::byte{4} || header < kIpv4Header || header > packet.size()) return false;
  key.protocol = static_cast<std::uint8_t>(packet[9]);
  copy_address(packet.subspan(12, 4), key.source);
  copy_address(packet.subspan(16, 4), key.destination);
  const bool later_fragment = (load_be16(packet.subspan(6)) & 0x1fffU) != 0;
  if (!later_fragment) read_ports(key, packet.subspan(header));
  return true;
}

bool read_ipv6_flow(FlowKey& key, ByteView packet) {
  if (packet.size() < kIpv6Header || (packet[0] >> 4U) != std::byte{6}) return false;
  key.protocol = static_cast<std::uint8_t>(packet[6]);
  copy_address(packet.subspan(8, 16), key.source);
  copy_address(packet.subspan(24, 16), key.destination);
  read_ports(key, packet.subspan(kIpv6Header));
  return true;
}

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
  const auto header = wire::read_ethernet(frame);
  if (!header) return std::nullopt;
  FlowKey key;
  key.vni = vni;
  key.ether_type = static_cast<std::uint16_t>(header->type);
  const auto packet = frame.subspan(wire::kEthernetHeader);
  bool is_ip = false;
  if (header->type == wire::EtherType::ipv4) is_ip = read_ipv4_flow(key, packet);
  if (header->type == wire::EtherType::ipv6) is_ip = read_ipv6_flow(key, packet);
  if (!is_ip) return std::nullopt;
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
