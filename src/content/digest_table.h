// From digests to small values, oldest forgotten first. All 128 bits are compared: 32 lie in the table, 96 with the
// value.
#pragma once

#include "content/digest.h"
#include "content/id_table.h"

#include <cstring>
#include <deque>
#include <memory>
#include <optional>

namespace godwit::content {

// Entries are numbered as they are added. kValue_bytes: of the value, at most 4.
template <unsigned kValue_bytes>
class DigestTable {
 public:
  using Number = std::uint64_t;

  // The entry of a digest that is there before is no longer found.
  void add(const PageDigest& digest, std::uint32_t value) {
    if (next_ % kChunk_entries == 0) chunks_.push_back(std::make_unique<Chunk>());
    const Number number = next_++;
    std::memcpy(entry(number).rest.data(), digest.data() + 4, kRest_bytes);
    set(number, value);
    table_.replace(head(digest), number, alive());
  }

  [[nodiscard]] std::optional<Number> find(const PageDigest& digest) const {
    for (const Number number : table_.find(head(digest), alive()).all()) {
      if (std::memcmp(entry(number).rest.data(), digest.data() + 4, kRest_bytes) == 0) return number;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::uint32_t value(Number number) const {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < kValue_bytes; ++i) value |= std::uint32_t{entry(number).value[i]} << (8 * i);
    return value;
  }
  void set(Number number, std::uint32_t value) {
    for (unsigned i = 0; i < kValue_bytes; ++i) entry(number).value[i] = static_cast<std::uint8_t>(value >> (8 * i));
  }

  // All entries lie in so many places. A digest that begins with 32 bits of zeros is not seen.
  [[nodiscard]] std::size_t places() const { return table_.places(); }
  template <class F>
  void visit(std::size_t place, F&& each) const {
    table_.visit(place, alive(), [&](std::uint32_t head, Number number) {
      PageDigest digest;
      store_be32(digest, head);
      std::memcpy(digest.data() + 4, entry(number).rest.data(), kRest_bytes);
      each(digest, number);
    });
  }

  // There must be one.
  void forget_oldest() {
    ++first_;
    if (first_ % kChunk_entries == 0) chunks_.pop_front();
  }

  [[nodiscard]] Number first() const { return first_; }
  [[nodiscard]] Number next() const { return next_; }
  [[nodiscard]] std::uint64_t size() const { return next_ - first_; }
  [[nodiscard]] std::uint64_t bytes() const { return table_.bytes() + chunks_.size() * sizeof(Chunk); }

  static constexpr std::uint64_t kMostEntries = (1ULL << 24U) - 1;  // what the numbers in the table tell apart

 private:
  static constexpr std::size_t kRest_bytes = 12;
  static constexpr std::size_t kChunk_entries = 1024;
  struct Entry {
    std::array<std::byte, kRest_bytes> rest;
    std::array<std::uint8_t, kValue_bytes> value;
  };
  using Chunk = std::array<Entry, kChunk_entries>;

  static std::uint32_t head(const PageDigest& digest) { return load_be32(digest); }
  [[nodiscard]] Window alive() const { return {first_, next_}; }
  [[nodiscard]] Entry& entry(Number number) const {
    return (*chunks_[number / kChunk_entries - first_ / kChunk_entries])[number % kChunk_entries];
  }

  IdTable<3> table_;
  std::deque<std::unique_ptr<Chunk>> chunks_;
  Number first_{0};
  Number next_{0};
};

}  // namespace godwit::content
