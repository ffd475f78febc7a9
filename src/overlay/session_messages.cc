#include "overlay/session_messages.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr std::uint64_t kTaiOfEpoch = 0x400000000000000aULL;  // 1970, and the 10 s that TAI was ahead then
constexpr std::uint32_t kWhitened = std::uint32_t{1} << 24U;  // ns
constexpr std::uint32_t kSecond = 1'000'000'000;

bool fits(MessageType type, std::size_t size) {
  switch (type.kind) {
    case MessageKind::initiation:
      return size >= initiation_at::least &&
             size <= (type.profile == Profile::native ? initiation_at::most : initiation_at::least);
    case MessageKind::response: return size == response_at::size;
    case MessageKind::cookie: return size == cookie_at::size;
    case MessageKind::data: return size >= kSealOverhead;
  }
  return false;
}

Tai64n make(std::uint64_t seconds, std::uint32_t nanos) {
  Tai64n out;
  store_be64(out, seconds);
  store_be32(ByteSpan(out).subspan(8), nanos);
  return out;
}

}  // namespace

std::optional<MessageType> message_type(ByteView datagram) {
  if (datagram.size() < kSealOverhead) return std::nullopt;
  const auto first = load_be32(datagram);
  if ((first & 0x00ffffffU) != 0) return std::nullopt;  // reserved
  const auto type = first >> 24U;
  const auto kind = type & 0x0fU;
  if (kind < 1 || kind > 4 || (type & 0xe0U) != 0) return std::nullopt;
  const MessageType found{(type & 0x10U) != 0 ? Profile::native : Profile::wireguard, static_cast<MessageKind>(kind)};
  if (!fits(found, datagram.size())) return std::nullopt;
  return found;
}

Tai64n to_tai64n(WallTime time) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::floor<Seconds>(since);
  const auto nanos = static_cast<std::uint32_t>(Nanos(since - seconds).count());
  return make(kTaiOfEpoch + static_cast<std::uint64_t>(seconds.count()), nanos & ~(kWhitened - 1));
}

Tai64n next_after(const Tai64n& time) {
  const auto seconds = load_be64(time);
  const auto nanos = load_be32(ByteView(time).subspan(8)) + kWhitened;
  return nanos < kSecond ? make(seconds, nanos) : make(seconds + 1, 0);
}

}  // namespace godwit::overlay
