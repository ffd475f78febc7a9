// The Internet checksum, RFC 1071: of IP's header, and with a pseudo-header of TCP, UDP and ICMPv6.
#pragma once

#include "base/bytes.h"

#include <cstdint>

namespace godwit::wire {

// The sum of its 16-bit words; the last byte of an odd number is a word's first. At most 128 KiB. Sums add up.
[[nodiscard]] inline std::uint32_t sum_of_words(ByteView bytes) {
  std::uint32_t sum = 0;
  for (; bytes.size() >= 2; bytes = bytes.subspan(2)) sum += load_be16(bytes);
  return bytes.empty() ? sum : sum + (std::to_integer<std::uint32_t>(bytes[0]) << 8U);
}

// In ones' complement; what stands in a field is ~ of it, but a sum that is still to be completed.
[[nodiscard]] inline std::uint16_t fold_sum(std::uint32_t sum) {
  while (sum > 0xffffU) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(sum);
}

// Of bytes in which the field itself is 0, or holds the sum of a pseudo-header.
[[nodiscard]] inline std::uint16_t checksum_of(ByteView bytes) {
  return static_cast<std::uint16_t>(~fold_sum(sum_of_words(bytes)));
}

}  // namespace godwit::wire
