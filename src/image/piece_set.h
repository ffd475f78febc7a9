// Which pieces of an image somebody has. Pure.
#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace godwit::image {

// Of pieces 0 to size - 1. Memory: a bit each.
class PieceSet {
 public:
  PieceSet() = default;
  explicit PieceSet(std::uint64_t size) : size_(size), words_((size + 63) / 64) {}

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] bool full() const { return count_ == size_; }
  [[nodiscard]] bool contains(std::uint64_t piece) const {
    return piece < size_ && (words_[piece / 64] >> (piece % 64) & 1U) != 0;
  }
  void add(std::uint64_t piece);
  void remove(std::uint64_t piece);
  // Bit i of byte j is piece first + 8j + i; what lies beyond the size is not looked at. `first` is a multiple of 8.
  void add_bits(std::uint64_t first, ByteView bits);
  // The other way: of pieces first to first + 8 * bytes - 1.
  [[nodiscard]] ByteVector bits(std::uint64_t first, std::size_t bytes) const;

  // A piece that is in here and not in `other`, which has the same size: the first from `from` on, else the first of
  // all; or the last below `end`, else the last of all. Cost: size/64 at worst.
  [[nodiscard]] std::optional<std::uint64_t> first_beyond(const PieceSet& other, std::uint64_t from) const;
  [[nodiscard]] std::optional<std::uint64_t> last_beyond(const PieceSet& other, std::uint64_t end) const;

 private:
  [[nodiscard]] std::uint64_t beyond(const PieceSet& other, std::size_t word) const {
    return words_[word] & ~other.words_[word];
  }

  std::uint64_t size_{0};
  std::uint64_t count_{0};
  std::vector<std::uint64_t> words_;
};

}  // namespace godwit::image
