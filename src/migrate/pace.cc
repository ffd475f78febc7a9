#include "migrate/pace.h"

#include <algorithm>
#include <utility>

namespace godwit::migrate {
namespace {

// From "out of the way" to as much as a slow link repays. zstd's levels; below 1 are its fast ones. What need not be
// sent again is worth its keeping only where sending costs more than that.
constexpr std::array kSteps{
    Effort{false, false, 0}, Effort{true, false, 0, false}, Effort{true, false, -4}, Effort{true, false, -1},
    Effort{true, true, 1},   Effort{true, true, 2},         Effort{true, true, 3},   Effort{true, true, 4},
    Effort{true, true, 5},   Effort{true, true, 6},         Effort{true, true, 7},   Effort{true, true, 8},
};
constexpr int kLast = static_cast<int>(kSteps.size()) - 1;
constexpr int kBatchesAStep = 4;
constexpr std::size_t kNextToNothing = 16;
constexpr double kForget = 0.75;  // of what was measured, at each batch
constexpr double kMore = 0.35;    // of the time spent encoding: below it there is CPU to spare
constexpr double kLess = 0.60;
constexpr double kIncompressible = 0.95;  // so much is left: effort is for nothing
constexpr double kMuchLess = 0.85;        // two steps at once
constexpr double kWaited = 0.2;           // of the time spent writing: above it the link is seen
constexpr double kEnough = 3;             // times the link's speed
constexpr double kSlowLink_bytes_per_s = 50e6;
constexpr double kFastLink_bytes_per_s = 300e6;  // no compressor keeps up with it
// Pauses of a machine that is busy look like a link that is waited for, now and then.
constexpr int kLooksToBelieve = 4;
constexpr int kLooksToForget = 64;  // the link, in which it was never waited for
// Before so many were written the link need not have been seen yet: they are on their way to it, in the host's buffers.
constexpr std::uint64_t kSeen_bytes = 16ULL << 20U;
// What a connection has under way at most: Linux's tcp_wmem as it comes.
constexpr double kWindow_bytes = 4.0 * (1U << 20U);
// Nearer than that are hosts of one site, busy ones too: what they say of the way has more to do with them.
constexpr Millis kFar{5};
// The encoder seems so much slower where others compute beside it: then they would keep back what sends, too.
constexpr double kContended = 4;
constexpr double kSlower = 0.98;  // of two ways: below, the difference is one
constexpr double kStayMost_s = 2;
constexpr double kInstant_s = 1e-9;
constexpr double kMs_a_s = 1e3;

}  // namespace

void Pace::note(Nanos encoding, Nanos writing, std::size_t bytes, std::size_t left_bytes, Nanos rest) {
  written_bytes_ += left_bytes;
  if (step_ > kReferring && left_bytes < bytes / kNextToNothing) return;
  encoding_ms_ = encoding_ms_ * kForget + to_ms(encoding);
  writing_ms_ = writing_ms_ * kForget + to_ms(writing);
  stream_bytes_ = stream_bytes_ * kForget + static_cast<double>(bytes);
  left_bytes_ = left_bytes_ * kForget + static_cast<double>(left_bytes);
  const auto all_s = to_s(encoding + writing + rest);
  in_step_bytes_ += bytes;
  in_step_s_ += all_s;
  if (step_ <= kReferring) ways_.at(static_cast<std::size_t>(step_)).add(bytes, all_s);
  if (step_ == kPassing) {
    if (in_step_bytes_ / kSlice_bytes != (in_step_bytes_ - bytes) / kSlice_bytes) compare_ways();
  } else if (++batches_ % kBatchesAStep == 0) {
    look();
  }
}

// The CPU is what is waited for in encoding, and in what is done with every byte that is sent.
void Pace::look() {
  const auto both = encoding_ms_ + writing_ms_;
  if (both <= 0) return;
  const auto busy = encoding_ms_ / both;
  see_link(busy);
  const bool outruns = outruns_a_slow_link();
  // Where little is done with bytes but to send them, that takes most of the time on any link.
  const bool more = step_ == kReferring ? looks_held_ >= kLooksToBelieve : busy < kMore;
  if ((more || outruns) && step_ < kLast) {
    enter(step_ + 1);
  } else if (step_ == kReferring) {
    compare_ways();
  } else if (busy > kLess && left_bytes_ > kIncompressible * stream_bytes_) {
    enter_less(kReferring);
  } else if (busy > kLess && !outruns) {
    enter_less(std::max(step_ - (busy > kMuchLess ? 2 : 1), kReferring));
  }
}

// Not past what keeps and compares without having been there: how fast that is decides.
void Pace::enter_less(int step) {
  if (step_ > kKeeping || (step_ == kKeeping && outruns_any_window())) step = std::max(step, kKeeping);
  if (step != step_) enter(step);
}

void Pace::see_link(double busy) {
  const auto achieved = left_bytes_ / (encoding_ms_ + writing_ms_) * kMs_a_s;
  const auto writing = left_bytes_ / std::max(writing_ms_, kInstant_s) * kMs_a_s;
  const bool waited = 1 - busy > kWaited && writing < kSlowLink_bytes_per_s;
  looks_waited_ = waited ? looks_waited_ + 1 : 0;
  looks_not_waited_ = waited ? 0 : looks_not_waited_ + 1;
  looks_held_ = busy < kMore && writing < kFastLink_bytes_per_s ? looks_held_ + 1 : 0;
  if (looks_waited_ >= kLooksToBelieve) {
    link_bytes_per_s_ = achieved;
  } else if (link_bytes_per_s_ > 0) {
    link_bytes_per_s_ = looks_not_waited_ < kLooksToForget ? std::max(link_bytes_per_s_, achieved) : 0;
  }
  if (looks_held_ >= kLooksToBelieve) passed_bytes_per_s_ = 0;
}

bool Pace::outruns_a_slow_link() const {
  const auto stream_bytes_per_s = stream_bytes_ / (encoding_ms_ + writing_ms_) * kMs_a_s;
  const auto link = std::max(link_bytes_per_s_, passed_bytes_per_s_);
  return link > 0 && link < kSlowLink_bytes_per_s && stream_bytes_per_s > kEnough * link;
}

bool Pace::outruns_any_window() const {
  if (round_trip_ == Nanos::max() || round_trip_ < kFar) return false;
  return kContended * stream_bytes_ * to_s(round_trip_) * kMs_a_s >= kWindow_bytes * encoding_ms_;
}

void Pace::answered_after(Nanos round_trip) { round_trip_ = std::min(round_trip_, round_trip); }

// Of the two ways that are left where the link is faster than anything else.
void Pace::compare_ways() {
  const auto& here = ways_.at(static_cast<std::size_t>(step_));
  const int other = step_ == kPassing ? kReferring : kPassing;
  const auto there = ways_.at(static_cast<std::size_t>(other)).bytes_per_s();
  if (here.slices() < kTrial_slices || written_bytes_ < kSeen_bytes) return;
  if (step_ == kPassing) passed_bytes_per_s_ = here.bytes_per_s();
  const bool slower = here.bytes_per_s() < kSlower * there;
  // What this trial has lost is made up for at the better way, before there is another.
  const double lost_s = kTrial_slices * kSlice_bytes * (1 / here.bytes_per_s() - 1 / std::max(there, 1.0));
  if (slower) stay_s_ = std::min(lost_s / kTrials, kStayMost_s);
  const bool stayed = in_step_bytes_ >= kStay_bytes && in_step_s_ >= stay_s_;
  const bool too_slow = step_ == kPassing && here.bytes_per_s() < kSlowLink_bytes_per_s;
  if (slower || stayed || too_slow || there == 0) enter(other);
}

void Pace::Way::add(std::size_t bytes, double seconds) {
  bytes_ += static_cast<double>(bytes);
  seconds_ += seconds;
  if (bytes_ < static_cast<double>(kSlice_bytes)) return;
  if (std::exchange(settled_, true)) speeds_.at(slices_++ % speeds_.size()) = bytes_ / std::max(seconds_, kInstant_s);
  bytes_ = 0;
  seconds_ = 0;
}

double Pace::Way::bytes_per_s() const {
  if (slices_ == 0) return 0;
  auto sorted = speeds_;
  const auto count = static_cast<std::ptrdiff_t>(std::min(slices_, sorted.size()));
  const auto middle = sorted.begin() + count / 2;
  std::nth_element(sorted.begin(), middle, sorted.begin() + count);
  return *middle;
}

void Pace::enter(int step) {
  step_ = step;
  in_step_bytes_ = 0;
  in_step_s_ = 0;
  if (step_ <= kReferring) ways_.at(static_cast<std::size_t>(step_)).begin();
}

Effort Pace::effort() const {
  if (fixed_) return *fixed_;
  return kSteps.at(static_cast<std::size_t>(step_));
}

}  // namespace godwit::migrate
