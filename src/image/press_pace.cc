#include "image/press_pace.h"

#include <algorithm>
#include <utility>

namespace godwit::image {
namespace {

constexpr double kMost = 0.5;      // of the time may be spent compressing: above, it is what is waited for
constexpr double kCrowded = 0.6;   // likewise: plain pieces may go out faster. They cost bytes, where the link is slow
constexpr double kMuchMore = 0.8;  // two steps at once
constexpr double kSpare = 0.3;     // as much of it as the next step would take: there is CPU for that
constexpr double kDearer = 2.5;    // times as much as this one
constexpr double kFaster = 0.95;   // of the time a piece took: below, the other way is the better
constexpr std::size_t kTells = 8;  // compressed pieces, of what compressing takes

}  // namespace

void PressPace::note(TimePoint now, Nanos pressing, bool pressed) {
  if (!std::exchange(looked_, true)) window_from_ = now - pressing;
  ++pieces_;
  pressed_ += pressed ? 1 : 0;
  pressing_ += pressing;
  if (pieces_ < kWindow_pieces || now <= window_from_) return;
  look(now, to_s(now - window_from_));
  window_from_ = now;
  pieces_ = pressed_ = 0;
  pressing_ = {};
}

void PressPace::look(TimePoint now, double span_s) {
  const auto piece_s = span_s / static_cast<double>(pieces_);
  const auto busy = to_s(pressing_) / span_s;
  if (step_ == kFastest && pressed_ >= kTells) fastest_piece_s_ = to_s(pressing_) / static_cast<double>(pressed_);
  if (std::exchange(is_fresh_, false)) return;
  if (step_ == kPlain) {
    look_at_plain(now, piece_s);
  } else if (busy > kMost && step_ > kFastest) {
    enter(std::max(step_ - (busy > kMuchMore ? 2 : 1), kFastest));
  } else if (busy > kCrowded && now >= plain_after_) {
    packed_s_ = piece_s;
    plain_since_ = now;
    enter(kPlain);
  } else if (busy * kDearer < kSpare && step_ + 1 < kLevels.size()) {
    enter(step_ + 1);
  }
}

// It is left where it is no faster, as when the link has become slow; and tried again where it need not be.
void PressPace::look_at_plain(TimePoint now, double piece_s) {
  const bool is_slower = piece_s > kFaster * packed_s_;
  const bool may_be = fastest_piece_s_ < piece_s && now - plain_since_ > stay_;
  if (!is_slower && !may_be) return;
  if (is_slower) plain_after_ = now + stay_;
  stay_ = std::min<Nanos>(2 * stay_, kStayMost);
  enter(kFastest);
}

void PressPace::enter(std::size_t step) {
  is_fresh_ = step_ == kPlain;
  step_ = step;
}

}  // namespace godwit::image
