// Blocks that have something in common with others, wherever in them it lies: what those that must travel may be
// compressed against. A block is known by the least of its windows' hashes (the "bottom-k" of Broder, "On the
// resemblance and containment of documents", 1997; the rolling hash of Xia et al., "Ddelta", 2014). Files in images
// move by any number of bytes, where pages in memory (content/sketch.h) hold their words aligned. Pure.
#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <span>
#include <vector>

namespace godwit::image {

inline constexpr std::size_t kSimilarBlocks_bytes =
    32UL << 20U;  // of memory: of 2 GiB of content at most; half more while it grows

class SimilarBlocks final {
 public:
  explicit SimilarBlocks(std::size_t limit_bytes = kSimilarBlocks_bytes) : limit_bytes_(limit_bytes) {}

  // `block`: kPage_bytes. `number`: what the caller knows it by. False: there is no memory for more. Cost: 5
  // microseconds.
  [[nodiscard]] bool add(ByteView block, std::uint32_t number);

  struct Alike {
    std::uint32_t number{0};
    std::uint32_t common{0};  // of its hashes
  };
  // At most kMostAlike, the one that has most in common first. Until the next call.
  [[nodiscard]] std::span<const Alike> find(ByteView block);

  static constexpr std::size_t kMostAlike = 2;  // what has moved by less than a block lies in two
  [[nodiscard]] std::uint64_t bytes() const { return slots_.size() * sizeof(Slot); }
  // Of all the hashes that it may have, half are there.
  [[nodiscard]] bool half_full() const { return used_ * 3 * sizeof(Slot) > limit_bytes_; }

 private:
  struct Slot {
    std::uint32_t hash{0};  // 0: free
    std::uint32_t number{0};
  };
  [[nodiscard]] bool add_hash(std::uint32_t hash, std::uint32_t number);
  [[nodiscard]] bool grow();
  [[nodiscard]] Slot& slot_of(std::uint32_t hash);

  std::size_t limit_bytes_;
  std::vector<Slot> slots_;
  std::uint64_t used_{0};
  std::vector<Alike> found_;
};

}  // namespace godwit::image
