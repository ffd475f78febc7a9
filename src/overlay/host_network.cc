#include "overlay/host_network.h"

#include "overlay/headers.h"
#include "overlay/offload.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kNextHeader = 6;
constexpr std::size_t kSource = 8;
constexpr std::size_t kDestination = 24;
constexpr std::size_t kTcpHeader = 20;
constexpr std::size_t kTcpFlags = 13;
constexpr unsigned kSyn = 0x02;
constexpr unsigned kAck = 0x10;
constexpr std::size_t kFrameLimit = HostNetwork::kMtu + wire::kEthernetHeader;

// TCP over IPv6 without extension headers; nothing else passes.
bool is_tcp(ByteView frame) {
  const auto ethernet = wire::read_ethernet(frame);
  if (!ethernet || ethernet->type != wire::EtherType::ipv6) return false;
  const auto ip = frame.subspan(wire::kEthernetHeader);
  return ip.size() >= kIpv6Header + kTcpHeader && wire::read_ipv6_source(ip) && ip[kNextHeader] == std::byte{kTcp};
}

HostAddress address_at(ByteView frame, std::size_t offset) {
  HostAddress out{};
  std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(wire::kEthernetHeader + offset), out.size(), out.begin());
  return out;
}

}  // namespace

void HostNetwork::on_frame(const sys::Packet& packet, Outbox& out) {
  auto offload = packet.offload;
  if (!is_tcp(packet.bytes)) return counters_.drop(Drop::needless);  // neighbours, routers, multicast: nobody is asked
  if (const auto why = check(offload, packet.bytes, kFrameLimit)) return counters_.drop(*why);
  if (address_at(packet.bytes, kSource) != own_) return counters_.drop(Drop::spoofed_ip);
  const auto peer = hosts_.find(address_at(packet.bytes, kDestination));
  if (peer == kNobody) return counters_.drop(Drop::unknown_destination);
  RecordHeader header{offload.gso != 0 || offload.needs_checksum ? RecordKind::super_frame : RecordKind::frame, 0, kVni,
                      packet.bytes.size(), offload};
  if (!out.to_peer(peer, header, packet.bytes)) counters_.drop(Drop::crowded);
}

void HostNetwork::on_record(PeerId from, const RecordHeader& header, ByteView bytes, Outbox& out) {
  auto offload = header.offload;
  if (handle_ == 0) return counters_.drop(Drop::no_device);
  if (!is_tcp(bytes)) return counters_.drop(Drop::unsupported);
  if (const auto why = check(offload, bytes, kFrameLimit)) return counters_.drop(*why);
  const auto* source = hosts_.address(from);
  if (!source || address_at(bytes, kSource) != *source) return counters_.drop(Drop::spoofed_ip);
  if (address_at(bytes, kDestination) != own_) return counters_.drop(Drop::unknown_destination);
  if (!may_come_in(bytes)) return counters_.drop(Drop::not_open);
  if (!out.to_port(handle_, bytes, offload)) counters_.drop(Drop::crowded);
}

// A connection begins only at a port that is open to others; what belongs to one that began the kernel knows best.
bool HostNetwork::may_come_in(ByteView frame) const {
  const auto tcp = frame.subspan(wire::kEthernetHeader + kIpv6Header);
  const auto flags = std::to_integer<unsigned>(tcp[kTcpFlags]);
  const bool begins = (flags & kSyn) != 0 && (flags & kAck) == 0;
  return !begins || std::ranges::find(ports_, load_be16(tcp.subspan(2))) != ports_.end();
}

}  // namespace godwit::overlay
