// Virtual time and chance, as one process sees them.
#pragma once

#include "sim/world.h"
#include "sys/clock.h"

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <random>

namespace godwit::sim {

// 2026-01-01 at the start of every world.
inline constexpr WallTime kEpoch{Millis{1'767'225'600'000}};

class SimClock final : public sys::Clock {
 public:
  explicit SimClock(const World& world) : world_(world) {}
  [[nodiscard]] TimePoint now() const override { return world_.now(); }
  [[nodiscard]] WallTime wall_now() const override {
    return kEpoch + std::chrono::duration_cast<Millis>(world_.now().time_since_epoch());
  }
  [[nodiscard]] sys::Task<void> sleep_until(TimePoint deadline) override;
  [[nodiscard]] sys::Task<void> rest_until(TimePoint deadline) override;

  [[nodiscard]] TimePoint next_deadline() const;
  void wake(TimePoint now);

 private:
  class Sleeper;
  [[nodiscard]] static sys::Task<void> rest(SimClock& clock, TimePoint deadline);
  [[nodiscard]] static sys::Task<void> sleep(SimClock& clock, TimePoint deadline);

  const World& world_;
  std::multimap<TimePoint, Sleeper*> sleepers_;
};

class SimRandom final : public sys::Random {
 public:
  explicit SimRandom(std::uint64_t seed) : random_(seed) {}
  void fill(ByteSpan out) override {
    for (auto& byte : out) byte = static_cast<std::byte>(random_() >> 56U);
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace godwit::sim
