// Where a page of guest memory is, in one number, whichever channel of its migration carries it.
#pragma once

#include "base/bytes.h"

namespace godwit::wire {

inline constexpr unsigned kPageNumberBits = 44;  // of a place: the page within its block; above them the block

// A block of guest memory by its name ("pc.ram"): 1 to 2^19 - 1, so that bit 63 of a place stays free for disks.
// Two blocks of one number are unlikely, and cost ratio only.
[[nodiscard]] std::uint64_t memory_block(ByteView name);
// `block`: of memory_block().
[[nodiscard]] std::uint64_t memory_place(std::uint64_t block, std::uint64_t offset_bytes);

}  // namespace godwit::wire
