#include "overlay/path_messages.h"

#include "overlay/relay_endpoint.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

namespace at {
constexpr std::size_t kind = 2, flags = 3, token = 4, count = 12, reserved = 13, list = kPathHeader;
constexpr std::size_t port = 16, candidate_kind = 18, candidate_reserved = 19;  // in a candidate
}  // namespace at
constexpr auto kInUse = std::byte{1};

bool all_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte each) { return each == std::byte{0}; });
}

bool fits(PathMessageKind kind, std::size_t count, std::size_t size) {
  switch (kind) {
    case PathMessageKind::probe: return count == 0 && size == kProbeBytes;
    case PathMessageKind::answer: return count == 1 && size == kProbeBytes;
    case PathMessageKind::size: return count == 0 && size >= kProbeBytes && size <= kLongestPathMessage;
    case PathMessageKind::candidates: return count <= kMostCandidates && size == kPathHeader + count * kCandidateBytes;
  }
  return false;
}

std::optional<Candidate> read_candidate(ByteView bytes, PathMessageKind message) {
  Candidate out;
  std::copy_n(bytes.begin(), out.at.ip.size(), out.at.ip.begin());
  out.at.port = load_be16(bytes.subspan(at::port));
  const auto kind = std::to_integer<std::uint8_t>(bytes[at::candidate_kind]);
  if (bytes[at::candidate_reserved] != std::byte{0} || kind > 2) return std::nullopt;
  out.kind = static_cast<CandidateKind>(kind);
  if ((message == PathMessageKind::answer) != (out.kind == CandidateKind::seen)) return std::nullopt;
  if (message == PathMessageKind::candidates && !is_sendable(out.at)) return std::nullopt;
  return out;
}

}  // namespace

bool is_path_message(ByteView payload) { return payload.size() >= 2 && load_be16(payload) == kPathMark; }

bool is_sendable(const sys::UdpEndpoint& endpoint) {
  if (endpoint.port == 0 || is_relayed(endpoint)) return false;
  const auto first = std::to_integer<unsigned>(endpoint.ip[sys::is_ipv4(endpoint) ? 12 : 0]);
  if (sys::is_ipv4(endpoint)) return first != 0 && first != 127 && first < 224;
  const auto second = std::to_integer<unsigned>(endpoint.ip[1]);
  if (first == 0xff || (first == 0xfe && (second & 0xc0U) == 0x80)) return false;  // multicast, link-local
  return !all_zero(ByteView(endpoint.ip).first(8));                                // ::, ::1, IPv4 in other clothes
}

ByteVector encode_path_message(const PathMessage& message) {
  auto size = kProbeBytes;
  if (message.kind == PathMessageKind::candidates) size = kPathHeader + message.count * kCandidateBytes;
  if (message.kind == PathMessageKind::size) size = message.payload_bytes;
  ByteVector out(size);
  const ByteSpan bytes(out);
  store_be16(bytes, kPathMark);
  bytes[at::kind] = static_cast<std::byte>(message.kind);
  bytes[at::flags] = message.in_use ? kInUse : std::byte{0};
  store_be64(bytes.subspan(at::token), message.token);
  bytes[at::count] = static_cast<std::byte>(message.count);
  auto rest = bytes.subspan(at::list);
  for (const auto& each : message.list()) {
    std::ranges::copy(each.at.ip, rest.begin());
    store_be16(rest.subspan(at::port), each.at.port);
    rest[at::candidate_kind] = static_cast<std::byte>(each.kind);
    rest = rest.subspan(kCandidateBytes);
  }
  return out;
}

std::optional<PathMessage> decode_path_message(ByteView payload) {
  if (payload.size() < kPathHeader || !is_path_message(payload)) return std::nullopt;
  PathMessage out;
  out.kind = static_cast<PathMessageKind>(payload[at::kind]);
  out.count = std::to_integer<std::size_t>(payload[at::count]);
  if (!fits(out.kind, out.count, payload.size())) return std::nullopt;
  if (!all_zero(payload.subspan(at::reserved, 3)) || (payload[at::flags] & ~kInUse) != std::byte{0})
    return std::nullopt;
  out.in_use = payload[at::flags] == kInUse;
  if (out.in_use && out.kind != PathMessageKind::probe) return std::nullopt;
  if (out.kind == PathMessageKind::size) out.payload_bytes = payload.size();
  out.token = load_be64(payload.subspan(at::token));
  auto rest = payload.subspan(at::list);
  for (auto& each : std::span(out.candidates).first(out.count)) {
    const auto candidate = read_candidate(rest, out.kind);
    if (!candidate) return std::nullopt;
    each = *candidate;
    rest = rest.subspan(kCandidateBytes);
  }
  return all_zero(rest) ? std::optional(out) : std::nullopt;
}

}  // namespace godwit::overlay
