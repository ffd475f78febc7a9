#include "overlay/index_table.h"

#include "base/assert.h"

#include <utility>

namespace godwit::overlay {

void IndexTable::put(const Entry& entry) {
  GODWIT_ASSERT(entry.index != 0);
  if (2 * (size_ + 1) > places_.size()) grow();
  auto at = place_of(entry.index);
  while (places_[at].index != 0 && places_[at].index != entry.index) at = next(at);
  if (places_[at].index == 0) ++size_;
  places_[at] = entry;
}

void IndexTable::erase(std::uint32_t index) {
  if (find(index) == nullptr) return;
  auto hole = place_of(index);
  while (places_[hole].index != index) hole = next(hole);
  --size_;
  places_[hole] = {};
  // What lies behind moves up, unless it is at or behind its own place already (Knuth, 6.4, algorithm R).
  for (auto at = next(hole); places_[at].index != 0; at = next(at)) {
    const auto home = place_of(places_[at].index);
    const auto distance = (at - home) & (places_.size() - 1);
    if (distance < ((at - hole) & (places_.size() - 1))) continue;
    places_[hole] = std::exchange(places_[at], {});
    hole = at;
  }
}

void IndexTable::grow() {
  const auto old = std::exchange(places_, std::vector<Entry>(2 * places_.size()));
  size_ = 0;
  for (const auto& each : old) {
    if (each.index != 0) put(each);
  }
}

}  // namespace godwit::overlay
