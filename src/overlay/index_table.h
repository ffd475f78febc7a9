// Which session or handshake a receiver index means. Indices are random numbers of our own, so they are their own hash.
#pragma once

#include <cstdint>
#include <vector>

namespace godwit::overlay {

struct Keypair;
struct SessionPeer;

class IndexTable {
 public:
  struct Entry {
    std::uint32_t index{0};  // 0: a free place
    SessionPeer* peer{nullptr};
    Keypair* keypair{nullptr};  // null: the peer's handshake that is under way
  };

  IndexTable() : places_(kLeast) {}

  // Null: nobody has it. Valid until the next change.
  [[nodiscard]] const Entry* find(std::uint32_t index) const {
    if (index == 0) return nullptr;
    for (auto at = place_of(index);; at = next(at)) {
      if (places_[at].index == index) return &places_[at];
      if (places_[at].index == 0) return nullptr;
    }
  }
  // In place of what had the index before.
  void put(const Entry& entry);
  void erase(std::uint32_t index);
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kLeast = 16;  // a power of two, as every size; at most half of the places are taken

  [[nodiscard]] std::size_t place_of(std::uint32_t index) const { return index & (places_.size() - 1); }
  [[nodiscard]] std::size_t next(std::size_t place) const { return (place + 1) & (places_.size() - 1); }
  void grow();

  std::vector<Entry> places_;
  std::size_t size_{0};
};

}  // namespace godwit::overlay
