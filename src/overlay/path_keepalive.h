// How long a pair of hosts may be silent before a NAT between them forgets them: learned by waiting ever longer.
#pragma once

#include "base/time.h"

#include <algorithm>

namespace godwit::overlay {

class KeepaliveInterval {
 public:
  // RFC 4787, REQ-5: no NAT should forget sooner than after two minutes; many do after 30 s.
  static constexpr Seconds kLeast{15};
  static constexpr Seconds kMost{120};
  static constexpr Seconds kForgetLimit{3600};  // then what was too long is tried once more

  [[nodiscard]] Nanos get() const { return interval_; }
  // There was an answer after so long a silence.
  void survived(TimePoint now, Nanos silence) {
    if (now >= limit_until_) limit_ = kMost;
    if (silence >= interval_) interval_ = std::min({Nanos(kMost), limit_, interval_ + interval_ / 2});
  }
  // There was none, but another way still leads there: the silence was too long.
  void lost(TimePoint now, Nanos silence) {
    limit_ = std::clamp(silence - silence / 8, Nanos(kLeast), Nanos(kMost));
    limit_until_ = now + kForgetLimit;
    interval_ = std::clamp(silence / 2, Nanos(kLeast), limit_);
  }

 private:
  Nanos interval_{kLeast};
  Nanos limit_{kMost};
  TimePoint limit_until_{};
};

}  // namespace godwit::overlay
