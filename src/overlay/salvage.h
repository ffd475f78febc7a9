// What can be had of a super-frame of which datagrams were lost: the segments of its payload that arrived, behind
// headers that fit them, are a shorter one. So a lost datagram costs a guest's connection the segments that it carried
// a part of, and not 64 KiB. Half a segment is worse than none: a sender repeats segments, so that its receiver tells
// of bytes that came twice (RFC 2883), and it takes its own loss detection for hasty (RFC 8985, section 6.2, step 4).
// Pure. Source of the headers' rules: RFC 9293 (TCP), RFC 768 (UDP), RFC 791, RFC 8200; Linux, net/ipv4/tcp_offload.c.
#pragma once

#include "overlay/record.h"

#include <optional>

namespace godwit::overlay {

// Ethernet's, IP's and TCP's header are never longer. A record's first slice has them all, or is refused.
constexpr std::size_t kMostHeaders = 14 + 60 + 60;

struct Part {
  sys::Offload offload;  // no gso where it is one frame on a wire
  std::size_t from{0};   // in the frame: which bytes of it follow the headers
  std::size_t size{0};
};

// Of the frame `whole` (a super_frame's), bytes [from, from + size) are there, and `headers`, its first bytes, to at
// least the end of TCP's or UDP's header. Writes the part's own headers over `headers`. It is cut at segments.
// Nothing where it is no such frame, or nothing is left. Whatever it returns is still to be checked as any super-frame
// is.
[[nodiscard]] std::optional<Part> salvage(const RecordHeader& whole, ByteSpan headers, std::size_t from,
                                          std::size_t size);

}  // namespace godwit::overlay
