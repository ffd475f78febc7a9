#include "overlay/deadlines.h"

#include "base/assert.h"

namespace godwit::overlay {

void Deadlines::reserve(std::size_t count) {
  if (count <= places_.size()) return;
  places_.resize(count, kNowhere);
  heap_.reserve(places_.capacity());
}

void Deadlines::set(Owner owner, std::optional<TimePoint> at) {
  GODWIT_ASSERT(owner < places_.size());
  auto place = places_[owner];
  if (!at) {
    if (place == kNowhere) return;
    const auto last = heap_.back();
    heap_.pop_back();
    places_[owner] = kNowhere;
    if (last.owner == owner) return;
    place < heap_.size() && place > 0 && last.at < heap_[(place - 1) / 2].at ? rise(place, last) : sink(place, last);
    return;
  }
  if (place == kNowhere) {
    heap_.push_back({*at, owner});
    rise(heap_.size() - 1, {*at, owner});
    return;
  }
  *at < heap_[place].at ? rise(place, {*at, owner}) : sink(place, {*at, owner});
}

void Deadlines::put(std::size_t place, Entry entry) {
  heap_[place] = entry;
  places_[entry.owner] = static_cast<std::uint32_t>(place);
}

void Deadlines::rise(std::size_t place, Entry entry) {
  while (place > 0 && entry.at < heap_[(place - 1) / 2].at) {
    put(place, heap_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(place, entry);
}

void Deadlines::sink(std::size_t place, Entry entry) {
  for (;;) {
    auto child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].at < heap_[child].at) ++child;
    if (entry.at <= heap_[child].at) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, entry);
}

}  // namespace godwit::overlay
