// Where what stands in the datagrams of sessions. docs/protocols/session.md is the format, and the words are its own.
#pragma once

#include "overlay/session_types.h"

#include <optional>

namespace godwit::overlay {

enum class MessageKind : std::uint8_t { initiation = 1, response = 2, cookie = 3, data = 4 };

// The first byte on the wire: WireGuard's own numbers, and the same with 16 more for ours.
constexpr std::byte type_byte(Profile profile, MessageKind kind) {
  return static_cast<std::byte>((profile == Profile::native ? 0x10 : 0) + static_cast<int>(kind));
}

struct MessageType {
  Profile profile;
  MessageKind kind;
};

constexpr std::size_t kTimestamp = 12;
constexpr std::size_t kMacs = 32;  // mac1, mac2: the last bytes of initiation and response

namespace initiation_at {
constexpr std::size_t sender = 4, ephemeral = 8, key = 40, payload = 88;
constexpr std::size_t least = payload + kTimestamp + kSealTag + kMacs;  // WireGuard's has exactly this
constexpr std::size_t most = least + kMostRecord;
}  // namespace initiation_at
namespace response_at {
constexpr std::size_t sender = 4, receiver = 8, ephemeral = 12, nothing = 44, size = nothing + kSealTag + kMacs;
}  // namespace response_at
namespace cookie_at {
constexpr std::size_t receiver = 4, nonce = 8, cookie = 32, size = cookie + 16 + kSealTag;
}  // namespace cookie_at
namespace data_at {
constexpr std::size_t receiver = 4, counter = 8, payload = kSealHeader;
}  // namespace data_at
static_assert(initiation_at::least == 148 && response_at::size == 92 && cookie_at::size == 64);

// None: no message of a session, or of no size that its type can have.
[[nodiscard]] std::optional<MessageType> message_type(ByteView datagram);

// Integers are little-endian in WireGuard's messages and big-endian in ours.
inline std::uint32_t load_index(Profile profile, ByteView bytes) {
  const auto value = load_be32(bytes);
  return profile == Profile::native ? value : __builtin_bswap32(value);
}
inline std::uint64_t load_counter(Profile profile, ByteView bytes) {
  const auto value = load_be64(bytes);
  return profile == Profile::native ? value : __builtin_bswap64(value);
}
inline void store_index(Profile profile, ByteSpan bytes, std::uint32_t value) {
  store_be32(bytes, profile == Profile::native ? value : __builtin_bswap32(value));
}
inline void store_counter(Profile profile, ByteSpan bytes, std::uint64_t value) {
  store_be64(bytes, profile == Profile::native ? value : __builtin_bswap64(value));
}

// When, as TAI64N has it (cr.yp.to/libtai/tai64.html): compares as it stands.
using Tai64n = std::array<std::byte, kTimestamp>;
// To 16 ms: what a clock says more exactly is nobody's business.
[[nodiscard]] Tai64n to_tai64n(WallTime time);
// The smallest that is greater and as coarse.
[[nodiscard]] Tai64n next_after(const Tai64n& time);

}  // namespace godwit::overlay
