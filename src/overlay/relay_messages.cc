#include "overlay/relay_messages.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr auto kVersion = std::byte{1};
namespace at {
constexpr std::size_t version = 0, kind = 1, channel = 4, body = 8;
constexpr std::size_t token = 8, ip = 16, port = 32, rest = 34;
}  // namespace at

bool all_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte each) { return each == std::byte{0}; });
}

bool is_known(RelayMessageKind kind) {
  switch (kind) {
    case RelayMessageKind::hello:
    case RelayMessageKind::bind:
    case RelayMessageKind::unbind:
    case RelayMessageKind::look:
    case RelayMessageKind::here:
    case RelayMessageKind::bound:
    case RelayMessageKind::absent:
    case RelayMessageKind::full: return true;
  }
  return false;
}

bool has_key(RelayMessageKind kind) {
  return kind != RelayMessageKind::hello && kind != RelayMessageKind::here && kind != RelayMessageKind::look;
}

}  // namespace

RelayMessageBytes encode_relay_message(const RelayMessage& message) {
  RelayMessageBytes out{};
  const ByteSpan bytes(out);
  bytes[at::version] = kVersion;
  bytes[at::kind] = static_cast<std::byte>(message.kind);
  store_be32(bytes.subspan(at::channel), message.channel);
  if (has_key(message.kind)) {
    std::ranges::copy(message.key, bytes.begin() + at::body);
    return out;
  }
  store_be64(bytes.subspan(at::token), message.token);
  if (message.kind == RelayMessageKind::here) {
    std::ranges::copy(message.seen.ip, bytes.begin() + at::ip);
    store_be16(bytes.subspan(at::port), message.seen.port);
  }
  return out;
}

std::optional<RelayMessage> decode_relay_message(ByteView payload) {
  if (payload.size() != kRelayMessageBytes || payload[at::version] != kVersion) return std::nullopt;
  RelayMessage out;
  out.kind = static_cast<RelayMessageKind>(payload[at::kind]);
  out.channel = load_be32(payload.subspan(at::channel));
  if (!is_known(out.kind) || load_be16(payload.subspan(2)) != 0) return std::nullopt;
  if ((out.kind == RelayMessageKind::bound) != (out.channel != 0)) return std::nullopt;
  if (has_key(out.kind)) {
    std::copy_n(payload.begin() + at::body, out.key.size(), out.key.begin());
    return out;
  }
  out.token = load_be64(payload.subspan(at::token));
  const bool here = out.kind == RelayMessageKind::here;
  if (!all_zero(payload.subspan(here ? at::rest : at::ip))) return std::nullopt;
  if (here) {
    std::copy_n(payload.begin() + at::ip, out.seen.ip.size(), out.seen.ip.begin());
    out.seen.port = load_be16(payload.subspan(at::port));
    if (!out.seen) return std::nullopt;
  }
  return out;
}

}  // namespace godwit::overlay
