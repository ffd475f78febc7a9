// The next deadline of each of many owners, in a heap in which each knows its place. Allocates only where owners come.
#pragma once

#include "base/time.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace godwit::overlay {

class Deadlines {
 public:
  using Owner = std::uint32_t;  // small numbers: places in a table

  // Room for owners 0 to count-1.
  void reserve(std::size_t count);
  void set(Owner owner, std::optional<TimePoint> at);  // none: no deadline
  // Not later than `at`; nothing changes where it is earlier already. Cheap: this is done for every datagram.
  void at_most(Owner owner, TimePoint at) {
    if (places_[owner] == kNowhere || at < heap_[places_[owner]].at) set(owner, at);
  }
  [[nodiscard]] std::optional<TimePoint> next() const {
    return heap_.empty() ? std::nullopt : std::optional(heap_.front().at);
  }
  // Whose deadline next() is; there is one.
  [[nodiscard]] Owner first() const { return heap_.front().owner; }

 private:
  struct Entry {
    TimePoint at;
    Owner owner;
  };
  static constexpr std::uint32_t kNowhere = ~std::uint32_t{0};

  void put(std::size_t place, Entry entry);
  void rise(std::size_t place, Entry entry);
  void sink(std::size_t place, Entry entry);

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> places_;  // of each owner in the heap
};

}  // namespace godwit::overlay
