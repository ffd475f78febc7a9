// Blocks of a pcapng file, as tcpdump and Wireshark read them. Source: draft-ietf-opsawg-pcapng, sections 4.1 to 4.6.
// Written big-endian, which the format lets the writer choose. Pure.
#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <string_view>

namespace godwit::overlay::pcapng {

enum class Direction : std::uint8_t { inbound = 1, outbound = 2 };  // epb_flags, bits 0-1

struct Packet {
  std::uint32_t interface{0};
  std::uint64_t time_ns{0};  // since 1970
  Direction direction{Direction::inbound};
  ByteView bytes;
  std::size_t snap_bytes{0};  // no more of them is kept
  std::string_view comment;   // empty: none
};

// At least as much as append_packet() appends.
[[nodiscard]] std::size_t packet_bound(const Packet& packet);

void append_section(ByteVector& out, std::string_view application);
// Interfaces are numbered from 0 in the order in which they are described. Ethernet, times in nanoseconds.
void append_interface(ByteVector& out, std::string_view name, std::uint32_t snap_bytes);
void append_packet(ByteVector& out, const Packet& packet);
// So far: frames that were seen, and those of them that are not in the file because its reader was too slow.
void append_statistics(ByteVector& out, std::uint32_t interface, std::uint64_t time_ns, std::uint64_t received,
                       std::uint64_t dropped);

}  // namespace godwit::overlay::pcapng
