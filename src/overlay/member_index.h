// Members by one of their addresses: a table of pointers, 16 to 32 bytes a member. Pure.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace godwit::overlay {

// `Key` has 64 bits or fewer, in `bits`. Made anew whenever members come or go; what it points at outlives it.
template <class Item, auto Field>
class MemberIndex {
 public:
  // Room for `count`.
  void begin(std::size_t count) { slots_.assign(std::bit_ceil(2 * count + 1), nullptr); }
  void add(Item& item) {
    auto at = place_of((item.*Field).bits);
    while (slots_[at]) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = &item;
  }
  template <class Key>
  [[nodiscard]] Item* find(const Key& key) const {
    if (slots_.empty()) return nullptr;
    for (auto at = place_of(key.bits); slots_[at]; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at]->*Field == key) return slots_[at];
    }
    return nullptr;
  }

 private:
  [[nodiscard]] std::size_t place_of(std::uint64_t bits) const {
    return (bits * 0x9e3779b97f4a7c15ULL >> 20U) & (slots_.size() - 1);
  }

  std::vector<Item*> slots_;  // a power of two; never more than half of them taken
};

}  // namespace godwit::overlay
