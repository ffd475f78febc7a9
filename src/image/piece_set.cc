#include "image/piece_set.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>

namespace godwit::image {

void PieceSet::add(std::uint64_t piece) {
  GODWIT_ASSERT(piece < size_);
  if (contains(piece)) return;
  words_[piece / 64] |= 1ULL << (piece % 64);
  ++count_;
}

void PieceSet::remove(std::uint64_t piece) {
  if (!contains(piece)) return;
  words_[piece / 64] &= ~(1ULL << (piece % 64));
  --count_;
}

void PieceSet::add_bits(std::uint64_t first, ByteView bits) {
  GODWIT_ASSERT(first % 8 == 0);
  for (std::size_t i = 0; i < bits.size() && first + 8 * i < size_; ++i) {
    const auto at = first + 8 * i;
    auto byte = std::to_integer<std::uint64_t>(bits[i]);
    if (size_ - at < 8) byte &= (1U << (size_ - at)) - 1;
    auto& word = words_[at / 64];
    const auto before = std::popcount(word);
    word |= byte << (at % 64);
    count_ += static_cast<std::uint64_t>(std::popcount(word) - before);
  }
}

ByteVector PieceSet::bits(std::uint64_t first, std::size_t bytes) const {
  GODWIT_ASSERT(first % 8 == 0);
  ByteVector out(bytes);
  for (std::size_t i = 0; i < bytes && first + 8 * i < size_; ++i) {
    const auto at = first + 8 * i;
    out[i] = static_cast<std::byte>(words_[at / 64] >> (at % 64));
  }
  return out;
}

std::optional<std::uint64_t> PieceSet::first_beyond(const PieceSet& other, std::uint64_t from) const {
  GODWIT_ASSERT(other.size_ == size_);
  if (size_ == 0) return std::nullopt;
  from = from < size_ ? from : 0;
  const auto begin = from / 64;
  for (std::size_t i = 0; i <= words_.size(); ++i) {
    const auto at = (begin + i) % words_.size();
    auto word = beyond(other, at);
    if (i == 0) word &= ~0ULL << (from % 64);
    if (word != 0) return 64 * at + static_cast<std::uint64_t>(std::countr_zero(word));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> PieceSet::last_beyond(const PieceSet& other, std::uint64_t end) const {
  GODWIT_ASSERT(other.size_ == size_);
  if (size_ == 0) return std::nullopt;
  const auto last = end == 0 || end > size_ ? size_ - 1 : end - 1;
  const auto begin = last / 64;
  for (std::size_t i = 0; i <= words_.size(); ++i) {
    const auto at = (begin + words_.size() - i) % words_.size();
    auto word = beyond(other, at);
    if (i == 0) word &= ~0ULL >> (63 - last % 64);
    if (word != 0) return 64 * at + 63 - static_cast<std::uint64_t>(std::countl_zero(word));
  }
  return std::nullopt;
}

}  // namespace godwit::image
