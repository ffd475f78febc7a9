#include "wire/stretches.h"

namespace godwit::wire {

void add_stretch(std::vector<Stretch>& stretches, Stretch stretch) {
  if (stretch.size_bytes == 0) return;
  if (!stretches.empty()) {
    Stretch& last = stretches.back();
    const bool goes_on = last.kind == stretch.kind && last.kind != StretchKind::counter && last.place == stretch.place;
    const std::size_t limit = stretch.kind == StretchKind::page ? kPage_bytes : UINT32_MAX;
    if (goes_on && std::size_t{last.size_bytes} + stretch.size_bytes <= limit) {
      last.size_bytes += stretch.size_bytes;
      return;
    }
  }
  stretches.push_back(stretch);
}

}  // namespace godwit::wire
