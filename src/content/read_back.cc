#include "content/read_back.h"

#include "base/page.h"

namespace godwit::content {

sys::Task<std::uint64_t> read_back(sys::Clock& clock, Store& store) {
  constexpr Millis kStep{50};
  constexpr std::uint64_t kPagesAStep = kReadBackRate_bytes_per_s / kPage_bytes * kStep.count() / 1000;
  std::uint64_t held = 0;
  while (const auto more = store.verify(kPagesAStep)) {
    held += *more;
    co_await clock.sleep_for(kStep);
  }
  co_return held;
}

}  // namespace godwit::content
