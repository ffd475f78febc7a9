// What a host and a relay say to each other, byte by byte: docs/protocols/relay.md. Pure.
#pragma once

#include "overlay/relay_endpoint.h"
#include "overlay/session_types.h"

namespace godwit::overlay {

// ---- carried: a datagram of the sessions of two hosts, behind this header. Not sealed for the relay.

constexpr std::size_t kRelayHeader = 8;  // type, 3 bytes of zero, u32 channel
constexpr auto kCarriedType = std::byte{0x20};

inline void write_carried_header(ByteSpan into, std::uint32_t channel) {
  store_be32(into, std::to_integer<std::uint32_t>(kCarriedType) << 24U);
  store_be32(into.subspan(4), channel);
}
// None: it is none; a datagram of a session never looks like one.
[[nodiscard]] inline std::optional<std::uint32_t> carried_channel(ByteView datagram) {
  if (datagram.size() <= kRelayHeader) return std::nullopt;
  if (load_be32(datagram) != std::to_integer<std::uint32_t>(kCarriedType) << 24U) return std::nullopt;
  const auto channel = load_be32(datagram.subspan(4));
  return channel == 0 ? std::nullopt : std::optional(channel);
}

// ---- messages: payloads of the session of a host with the relay

enum class RelayMessageKind : std::uint8_t {
  hello = 1,      // host: "I am here; where do you see me?"
  bind = 2,       // host: "I want to reach this key"
  unbind = 3,     // host: "no longer"
  look = 4,       // host: "where do you see me by this way? I stay where I am"
  here = 0x81,    // relay: the answer to hello
  bound = 0x82,   // relay: the channel to this key; also to the host with that key
  absent = 0x83,  // relay: there is no channel to this key, or no longer
  full = 0x84,    // relay: the host has as many channels as it may
};

constexpr std::size_t kRelayMessageBytes = 40;  // all of them

struct RelayMessage {
  RelayMessageKind kind{RelayMessageKind::hello};
  std::uint32_t channel{0};  // bound
  std::uint64_t token{0};    // hello, look; here has theirs
  sys::UdpEndpoint seen{};   // here
  crypto::PublicKey key{};   // all others

  bool operator==(const RelayMessage&) const = default;
};

using RelayMessageBytes = std::array<std::byte, kRelayMessageBytes>;
[[nodiscard]] RelayMessageBytes encode_relay_message(const RelayMessage& message);
[[nodiscard]] std::optional<RelayMessage> decode_relay_message(ByteView payload);

}  // namespace godwit::overlay
