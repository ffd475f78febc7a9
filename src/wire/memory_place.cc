#include "wire/memory_place.h"

namespace godwit::wire {
namespace {

constexpr std::uint64_t kBlocks = (1U << 19U) - 1;
constexpr unsigned kPageBits = 12;

}  // namespace

// FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
std::uint64_t memory_block(ByteView name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::byte byte : name) {
    hash ^= std::to_integer<std::uint64_t>(byte);
    hash *= 0x100000001b3ULL;
  }
  return 1 + hash % kBlocks;
}

std::uint64_t memory_place(std::uint64_t block, std::uint64_t offset_bytes) {
  const std::uint64_t page = (offset_bytes >> kPageBits) & ((1ULL << kPageNumberBits) - 1);
  return block << kPageNumberBits | page;
}

}  // namespace godwit::wire
