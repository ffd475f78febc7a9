#include "migrate/pace.h"

namespace godwit::migrate {
namespace {

// From "out of the way" to as much as a slow link repays. zstd's levels; below 1 are its fast ones.
constexpr std::array kSteps{
    Effort{false, false, 0}, Effort{true, false, 0}, Effort{true, false, -4}, Effort{true, false, -1},
    Effort{true, true, 1},   Effort{true, true, 2},  Effort{true, true, 3},   Effort{true, true, 4},
    Effort{true, true, 5},   Effort{true, true, 6},  Effort{true, true, 7},   Effort{true, true, 8},
};
constexpr int kLast = static_cast<int>(kSteps.size()) - 1;
constexpr int kBatchesAStep = 4;
constexpr std::size_t kNextToNothing = 16;
constexpr double kForget = 0.75;  // of what was measured, at each batch
constexpr double kMore = 0.35;    // of the time spent encoding: below it there is CPU to spare
constexpr double kLess = 0.60;
constexpr double kWaited = 0.2;  // of the time spent writing: above it the link is seen
constexpr double kEnough = 3;    // times the link's speed
constexpr double kMs_a_s = 1e3;

}  // namespace

void Pace::note(Nanos encoding, Nanos writing, std::size_t bytes, std::size_t left_bytes) {
  if (step_ > kLooking && left_bytes < bytes / kNextToNothing) return;
  encoding_ms_ = encoding_ms_ * kForget + to_ms(encoding);
  writing_ms_ = writing_ms_ * kForget + to_ms(writing);
  stream_bytes_ = stream_bytes_ * kForget + static_cast<double>(bytes);
  left_bytes_ = left_bytes_ * kForget + static_cast<double>(left_bytes);
  in_step_bytes_ += bytes;
  if (step_ <= kLooking) {
    auto& trial = trials_.at(static_cast<std::size_t>(step_));
    trial.bytes += static_cast<double>(bytes);
    trial.seconds += to_s(encoding + writing);
  }
  if (step_ == kPassing) {
    note_passing();
    return;
  }
  if (++batches_ % kBatchesAStep != 0) return;
  const auto both = encoding_ms_ + writing_ms_;
  if (both <= 0) return;
  const auto busy = encoding_ms_ / both;
  if (1 - busy > kWaited) link_bytes_per_s_ = left_bytes_ / both * kMs_a_s;
  if ((busy < kMore || is_fast_enough()) && step_ < kLast) {
    enter(step_ + 1);
  } else if (step_ == kLooking) {
    note_looking(busy);
  } else if (busy > kLess && !is_fast_enough()) {
    enter(step_ - 1);
  }
}

bool Pace::is_fast_enough() const {
  const auto stream_bytes_per_s = stream_bytes_ / (encoding_ms_ + writing_ms_) * kMs_a_s;
  return link_bytes_per_s_ > 0 && stream_bytes_per_s > kEnough * link_bytes_per_s_;
}

// The CPU is what is waited for, in encoding or in what is done with every byte that is sent.
void Pace::note_looking(double busy) {
  if (busy < kMore || in_step_bytes_ < pass_after_bytes_) return;
  enter(kPassing);
}

void Pace::note_passing() {
  if (in_step_bytes_ < kTrial_bytes) return;
  const bool faster = trials_[kPassing].speed() > trials_[kLooking].speed();
  if (faster && in_step_bytes_ < kStay_bytes) return;
  pass_after_bytes_ = faster ? kTrial_bytes : kStay_bytes;
  enter(kLooking);
}

void Pace::enter(int step) {
  step_ = step;
  in_step_bytes_ = 0;
  if (step_ <= kLooking) trials_.at(static_cast<std::size_t>(step_)) = {};
}

Effort Pace::effort() const {
  if (fixed_) return *fixed_;
  return kSteps.at(static_cast<std::size_t>(step_));
}

}  // namespace godwit::migrate
