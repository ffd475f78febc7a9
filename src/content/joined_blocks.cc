#include "content/joined_blocks.h"

namespace godwit::content {

std::uint64_t JoinedBlocks::count() const {
  std::uint64_t count = 0;
  for (const auto& each : parts_) count += each->count();
  return count;
}

const Blocks* JoinedBlocks::part_of(std::uint64_t& block) const {
  for (const auto& each : parts_) {
    if (block < each->count()) return each.get();
    block -= each->count();
  }
  return nullptr;
}

Result<> JoinedBlocks::read(std::uint64_t block, ByteSpan into) const {
  const auto* part = part_of(block);
  if (part == nullptr) return fail(Errc::invalid_argument, "there is no such block");
  return part->read(block, into);
}

bool JoinedBlocks::is_hole(std::uint64_t block) const {
  const auto* part = part_of(block);
  return part == nullptr || part->is_hole(block);
}

}  // namespace godwit::content
