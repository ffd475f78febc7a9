// Records: what switches hand each other inside their sessions, byte by byte: docs/protocols/overlay.md. Pure.
//
// A datagram of a session carries a slice: how many of its bytes go on with a record that began in an earlier one, and
// then records, the last of which may go on in the next.
#pragma once

#include "sys/packet.h"

#include <cstdint>
#include <optional>

namespace godwit::overlay {

enum class RecordKind : std::uint8_t {
  padding = 0,      // nothing more in this slice
  frame = 1,        // of a network, as it stands on a wire
  super_frame = 2,  // of a network, with an Offload
  control = 3,      // docs/protocols/overlay.md, Control
};

constexpr std::uint8_t kMostHops = 3;  // a frame that chases an instance gives up after as many hosts
// With `hops`: the frame belongs to a connection that its receiver began, says the sender's switch (PortFilter).
constexpr std::uint8_t kAnswers = 0x80;
constexpr std::size_t kRecordHeader = 8;
constexpr std::size_t kOffloadBytes = 10;
constexpr std::size_t kLongestRecordHeader = kRecordHeader + kOffloadBytes;
constexpr std::size_t kRecordLimit = sys::kFrameLimit;  // of what follows the header
// A record begins only where its header and so much of it, or all, follow in the same slice: small frames are never
// cut.
constexpr std::size_t kLeastBeginning = 128;

constexpr std::size_t kSliceHeader = 2;

struct RecordHeader {
  RecordKind kind{RecordKind::frame};
  std::uint8_t hops{0};  // perhaps with kAnswers; by how many switches it was forwarded
  std::uint32_t vni{0};  // 24 bits; 0: none
  std::size_t size{0};   // of what follows, at most kRecordLimit
  sys::Offload offload;  // of a super_frame

  bool operator==(const RecordHeader&) const = default;
  [[nodiscard]] std::size_t bytes() const {
    return kind == RecordKind::super_frame ? kLongestRecordHeader : kRecordHeader;
  }
};

// `into` holds header.bytes().
void write_record_header(ByteSpan into, const RecordHeader& header);
// Nothing when it is cut short, of no known kind, or longer than can be.
[[nodiscard]] std::optional<RecordHeader> read_record_header(ByteView bytes);

}  // namespace godwit::overlay
