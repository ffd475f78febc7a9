// How fast something went lately. Pure.
#pragma once

#include "base/time.h"

#include <cstdint>
#include <optional>

namespace godwit::migrate {

class Speed final {
 public:
  void add(std::uint64_t bytes, TimePoint now) {
    bytes_ += bytes;
    if (!since_) since_ = now;
    const auto passed = to_s(now - *since_);
    if (passed < kLook_s) return;
    const auto seen = static_cast<double>(bytes_) / passed;
    bytes_per_s_ = bytes_per_s_ == 0 ? seen : (bytes_per_s_ + seen) / 2;
    bytes_ = 0;
    since_ = now;
  }
  [[nodiscard]] double bytes_per_s() const { return bytes_per_s_; }  // 0: not known yet

 private:
  static constexpr double kLook_s = 0.05;
  std::uint64_t bytes_{0};
  std::optional<TimePoint> since_;
  double bytes_per_s_{0};
};

}  // namespace godwit::migrate
