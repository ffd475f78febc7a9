#include "image/similar_blocks.h"

#include "base/assert.h"
#include "base/page.h"

#include <algorithm>
#include <array>
#include <utility>

namespace godwit::image {
namespace {

constexpr std::size_t kWindow_bytes = 32;  // that a hash is of
constexpr unsigned kSampled = 5;           // one of 2^5 windows, chosen by their content

constexpr std::size_t kFirstSlots = 1UL << 14U;

constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 32U)) * 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 29U)) * 0xc2b2ae3d27d4eb4fULL;
  return x ^ (x >> 32U);
}

constexpr std::array<std::uint64_t, 256> gear() {
  std::array<std::uint64_t, 256> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = mix(i + 1);
  return out;
}

constexpr auto kGear = gear();

// The least are all small, and a table wants hashes that lie anywhere.
constexpr std::uint32_t spread(std::uint32_t least) {
  return std::max<std::uint32_t>(static_cast<std::uint32_t>(mix(least + 1ULL)), 1);
}

// No two are the same.
void take(BlockSketch& least, std::uint32_t hash) {
  if (hash >= least.back()) return;
  auto* place = std::lower_bound(least.begin(), least.end(), hash);
  if (*place == hash) return;
  std::move_backward(place, least.end() - 1, least.end());
  *place = hash;
}

}  // namespace

// Two bits a byte: after 32 bytes one is shifted out. The samples are those whose upper bits are 0.
BlockSketch sketch_of(ByteView block) {
  GODWIT_ASSERT(block.size() == kPage_bytes);
  std::array<std::uint64_t, kPage_bytes> samples;
  std::size_t count = 0;
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < kPage_bytes; ++i) {
    hash = (hash << 2U) + kGear[std::to_integer<std::size_t>(block[i])];
    // Always written, counted where it is one: no branch to guess wrong.
    samples[count] = hash;
    count += (hash >> (64U - kSampled)) == 0 && i + 1 >= kWindow_bytes ? 1 : 0;
  }
  BlockSketch least;
  least.fill(kNoHash);
  for (std::size_t i = 0; i < count; ++i) take(least, static_cast<std::uint32_t>(mix(samples[i])));
  return least;
}

void append_sketch(ByteVector& out, const BlockSketch& sketch) {
  for (const auto hash : sketch) append_be32(out, hash);
}

BlockSketch load_sketch(ByteView bytes) {
  BlockSketch out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = load_be32(bytes.subspan(i * sizeof(std::uint32_t)));
  return out;
}

bool SimilarBlocks::add(const BlockSketch& block, std::uint32_t number) {
  for (const auto hash : block) {
    if (hash == kNoHash) break;
    if (!add_hash(spread(hash), number)) return false;
  }
  return true;
}

// The first that has a hash keeps it: what many blocks have says little of any. Two thirds at most are used, so that a
// search ends soon.
bool SimilarBlocks::add_hash(std::uint32_t hash, std::uint32_t number) {
  if ((used_ + 1) * 3 > slots_.size() * 2 && !grow()) return false;
  auto& slot = slot_of(hash);
  if (slot.hash != 0) return true;
  slot = {hash, number};
  ++used_;
  return true;
}

bool SimilarBlocks::grow() {
  const auto more = std::max(kFirstSlots, slots_.size() * 2);
  if (more * sizeof(Slot) > limit_bytes_) return false;
  const auto old = std::exchange(slots_, std::vector<Slot>(more));
  for (const auto& each : old) {
    if (each.hash != 0) slot_of(each.hash) = each;
  }
  return true;
}

SimilarBlocks::Slot& SimilarBlocks::slot_of(std::uint32_t hash) {
  auto at = hash & (slots_.size() - 1);
  while (slots_[at].hash != 0 && slots_[at].hash != hash) at = (at + 1) & (slots_.size() - 1);
  return slots_[at];
}

std::span<const SimilarBlocks::Alike> SimilarBlocks::find(const BlockSketch& block) {
  found_.clear();
  if (slots_.empty()) return {};
  for (const auto hash : block) {
    if (hash == kNoHash) break;
    const auto& slot = slot_of(spread(hash));
    if (slot.hash == 0) continue;
    const auto same = std::ranges::find(found_, slot.number, &Alike::number);
    if (same != found_.end()) {
      ++same->common;
    } else {
      found_.push_back({slot.number, 1});
    }
  }
  std::ranges::stable_sort(found_, std::ranges::greater{}, &Alike::common);
  return std::span(found_).first(std::min(found_.size(), kMostAlike));
}

}  // namespace godwit::image
