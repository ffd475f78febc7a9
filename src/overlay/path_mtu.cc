#include "overlay/path_mtu.h"

#include "base/bytes.h"

#include <algorithm>

namespace godwit::overlay {

std::optional<PathMtu::Probe> PathMtu::poll(TimePoint now, Nanos round_trip, TimePoint heard_at, sys::Random& random) {
  if (now < at_) return std::nullopt;
  if (tries_ >= kTries && heard_at > began_) failed(now);
  if (tries_ == 0 && !begin(now, random)) return std::nullopt;
  if (tries_ < kTries) ++tries_;  // a way on which nothing is heard: goes on
  at_ = now + std::clamp<Nanos>(2 * round_trip, kLeastPause, kMostPause);
  return Probe{kSizes[tried_], token_};
}

// A size that has passed before, and doesn't any more, is a black hole: what surely passes is used at once.
void PathMtu::failed(TimePoint now) {
  tries_ = 0;
  bad_ = tried_;
  if (good_ < bad_) return;
  good_ = 0;
  raise_pause_ = kFirstRaise;
  raise_at_ = now + raise_pause_;
}

bool PathMtu::begin(TimePoint now, sys::Random& random) {
  if (raise_at_ == TimePoint{}) raise_at_ = now + raise_pause_;
  if (now >= raise_at_) {
    raise_pause_ = std::min<Nanos>(2 * raise_pause_, kRaiseEvery);
    raise_at_ = now + raise_pause_;
    bad_ = kSizes.size();
  }
  if (good_ + 1 < bad_) {
    tried_ = static_cast<std::uint8_t>(next_size());
  } else if (good_ > 0 && now >= confirm_at_) {
    tried_ = good_;
  } else {
    at_ = good_ > 0 ? std::min(raise_at_, confirm_at_) : raise_at_;
    return false;
  }
  std::array<std::byte, 8> drawn{};
  random.fill(drawn);
  token_ = load_be64(drawn);
  began_ = now;
  return true;
}

// Ethernet's, the longest, then halving what is left.
std::size_t PathMtu::next_size() const {
  if (good_ < kUsual && bad_ > kUsual) return kUsual;
  if (bad_ == kSizes.size()) return kSizes.size() - 1;
  return (std::size_t{good_} + bad_) / 2;
}

bool PathMtu::on_answer(TimePoint now, std::uint64_t token) {
  if (tries_ == 0 || token != token_) return false;
  tries_ = 0;
  good_ = std::max(good_, tried_);
  at_ = now;
  confirm_at_ = now + kConfirmEvery;
  return true;
}

}  // namespace godwit::overlay
