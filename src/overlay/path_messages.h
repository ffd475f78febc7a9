// What two hosts say inside their session about the ways between them, byte by byte: docs/protocols/path.md. Pure.
#pragma once

#include "sys/packet.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace godwit::overlay {

// In place of a slice's header: no slice goes on for so long.
constexpr std::uint16_t kPathMark = 0xffff;

enum class PathMessageKind : std::uint8_t {
  probe = 1,       // "answer to where this came from"
  answer = 2,      // to a probe or candidates; `candidates` has the endpoint that it came from
  candidates = 3,  // "try me at these, now"
  size = 4,        // "answer, if something so long gets to you"
};

enum class CandidateKind : std::uint8_t {
  seen = 0,    // as the sender saw the receiver: of an answer
  local = 1,   // an address of the host's own
  mapped = 2,  // as a relay or another peer sees it
};

struct Candidate {
  sys::UdpEndpoint at;
  CandidateKind kind{CandidateKind::local};
  bool operator==(const Candidate&) const = default;
};

constexpr std::size_t kMostCandidates = 8;  // of one host
constexpr std::size_t kPathHeader = 16;
constexpr std::size_t kCandidateBytes = 20;
// A probe is as long as its answer: nobody is made to send more than he was sent.
constexpr std::size_t kProbeBytes = kPathHeader + kCandidateBytes;
constexpr std::size_t kLongestPathMessage = 9000;  // of a size

struct PathMessage {
  PathMessageKind kind{PathMessageKind::probe};
  bool in_use{false};  // of a probe: its sender uses this way for data
  std::uint64_t token{0};
  std::size_t payload_bytes{0};  // of a size: its own, with the zeros behind it
  std::size_t count{0};
  std::array<Candidate, kMostCandidates> candidates{};

  bool operator==(const PathMessage&) const = default;
  [[nodiscard]] std::span<const Candidate> list() const { return std::span(candidates).first(count); }
};

[[nodiscard]] bool is_path_message(ByteView payload);
[[nodiscard]] ByteVector encode_path_message(const PathMessage& message);
// Nothing when it is no such message; candidates to which nobody sends (is_sendable) are an error too.
[[nodiscard]] std::optional<PathMessage> decode_path_message(ByteView payload);

// A unicast address outside of this host, and a port. False too for what only stands for a relay's channel.
[[nodiscard]] bool is_sendable(const sys::UdpEndpoint& endpoint);

}  // namespace godwit::overlay
