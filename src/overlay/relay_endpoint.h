// Peers behind a host's relays, written as endpoints: so sessions and paths know one kind of "from where" alone. They
// are addresses of the discard prefix 100::/64 (RFC 6666), which no network carries; only who owns the socket tells
// them apart, and sends what is meant for them to the relay.
#pragma once

#include "sys/packet.h"

#include <algorithm>
#include <optional>

namespace godwit::overlay {

enum class RelayedKind : std::uint8_t {
  channel = 1,     // of a host: a peer, by way of the relay
  connection = 2,  // a relay's TCP connection, in place of a UDP endpoint; of a host: its own to the relay
};

struct Relayed {
  RelayedKind kind{RelayedKind::channel};
  std::uint32_t number{0};
  std::uint8_t relay{0};  // of a host: which of its relays
};

inline sys::UdpEndpoint relayed_endpoint(Relayed what) {
  sys::UdpEndpoint out;
  out.ip[0] = std::byte{1};
  out.ip[10] = static_cast<std::byte>(what.relay);
  out.ip[11] = static_cast<std::byte>(what.kind);
  store_be32(ByteSpan(out.ip).subspan(12), what.number);
  out.port = 1;
  return out;
}

// Of the prefix, whatever it stands for: what comes from the network never is.
inline bool is_relayed(const sys::UdpEndpoint& endpoint) {
  return endpoint.ip[0] == std::byte{1} &&
         std::ranges::all_of(ByteView(endpoint.ip).subspan(1, 7), [](std::byte each) { return each == std::byte{0}; });
}

inline std::optional<Relayed> relayed_of(const sys::UdpEndpoint& endpoint) {
  if (!is_relayed(endpoint)) return std::nullopt;
  return Relayed{static_cast<RelayedKind>(endpoint.ip[11]), load_be32(ByteView(endpoint.ip).subspan(12)),
                 std::to_integer<std::uint8_t>(endpoint.ip[10])};
}

}  // namespace godwit::overlay
