#include "agent/observations.h"

namespace godwit::agent {
namespace {

constexpr Millis kAskEvery{2'500};  // half of a switch's interval: none is missed

}  // namespace

sys::Task<void> Observations::run() {
  std::int64_t told_ms = 0;
  for (;;) {
    co_await runtime_.clock.sleep_for(kAskEvery);
    auto seen = co_await from_.observe();
    if (!seen || seen->ended_ms == told_ms) continue;  // that the switch is away is said elsewhere
    told_ms = seen->ended_ms;
    const auto told = co_await to_.observe(std::move(*seen));
    if (!told) runtime_.log.debug("{}", told.error().message);
  }
}

}  // namespace godwit::agent
