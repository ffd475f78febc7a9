// Blocks that have something in common with others, wherever in them it lies: what those that must travel may be
// compressed against. A block is known by the least of its windows' hashes (the "bottom-k" of Broder, "On the
// resemblance and containment of documents", 1997; the rolling hash of Xia et al., "Ddelta", 2014). Files in images
// move by any number of bytes, where pages in memory (content/sketch.h) hold their words aligned. Pure.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace godwit::image {

inline constexpr std::size_t kSimilarBlocks_bytes =
    32UL << 20U;  // of memory: of 2 GiB of content at most; half more while it grows

// What is to be known of a block to find what it is like: those hashes, ascending, and kNoHash where it has fewer.
inline constexpr std::size_t kSketchHashes = 6;
inline constexpr std::uint32_t kNoHash = 0xffffffff;
using BlockSketch = std::array<std::uint32_t, kSketchHashes>;
// `block`: kPage_bytes. Cost: 5 microseconds.
[[nodiscard]] BlockSketch sketch_of(ByteView block);

// As it travels: its hashes, big-endian.
inline constexpr std::size_t kBlockSketch_bytes = kSketchHashes * sizeof(std::uint32_t);
void append_sketch(ByteVector& out, const BlockSketch& sketch);
// Of kBlockSketch_bytes, whatever they are.
[[nodiscard]] BlockSketch load_sketch(ByteView bytes);

class SimilarBlocks final {
 public:
  explicit SimilarBlocks(std::size_t limit_bytes = kSimilarBlocks_bytes) : limit_bytes_(limit_bytes) {}

  // `number`: what the caller knows the block by. False: there is no memory for more.
  [[nodiscard]] bool add(const BlockSketch& block, std::uint32_t number);

  struct Alike {
    std::uint32_t number{0};
    std::uint32_t common{0};  // of its hashes
  };
  // At most kMostAlike, the one that has most in common first. Until the next call.
  [[nodiscard]] std::span<const Alike> find(const BlockSketch& block);

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
