// How a host of a chain sees that one before it is slow, and goes past it.
//
// Every host hears how far each of those before it is. Where two neighbours of them are far apart, and stay so, the
// nearer can't take, or the further can't give; which of the two, and whether this host would fare better, shows a
// trial: a few pieces from the further one, at its full speed. A host that is slow itself finds nothing faster, and
// stays where it is, until the one behind it goes past.
#include "image/chain_receiver.h"

namespace godwit::image::chain {
namespace {

constexpr std::uint64_t kUncounted_pieces = 2;  // of a step, while the connection gets up to speed
constexpr std::uint64_t kRest_pieces = 64;      // nobody changes his place for less

}  // namespace

std::optional<Receiver::SlowEdge> Receiver::slow_edge(TimePoint now, std::uint64_t here) const {
  if (!upstream_->news) return std::nullopt;
  const auto rate = static_cast<double>(bytes_per_s(now)) / kPiece_bytes;
  const auto gap = std::max(kGap_pieces, static_cast<std::uint64_t>(rate * to_s(kGap)));
  const auto before = ancestors();
  auto nearer = here;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].pieces >= nearer + gap) {
      const auto past = std::max<std::size_t>(i, 1);
      if (past >= before.size()) return std::nullopt;
      bool tried = false;
      for (std::size_t at = 0; at + 1 < past; ++at) tried = tried || before[at].tried;
      return SlowEdge{i == 0 ? own_ : before[i - 1].name, before[past], past, tried};
    }
    nearer = std::max(nearer, before[i].pieces);
  }
  return std::nullopt;
}

// Over the WAN only so much.
std::uint64_t Receiver::may_ask(const std::string& name) const {
  if (!find(name) || blamed_.contains(name)) return 0;
  if (site_of(name) == hosts_[place_].site) return kTrialStep;
  return pieces_ / kAfar - std::min(pieces_ / kAfar, afar_pieces_);
}

// The host right behind the edge tries first. It may be slow itself, and find nothing: so the next one tries later;
// soon, where it can be seen that the further host of the edge gets more than it gives.
TimePoint Receiver::ripe_at(TimePoint now, const SlowEdge& slow, std::uint64_t here) const {
  auto patience = Nanos(kSlowFor);
  if (slow.hosts > 1) {
    const auto gained = static_cast<double>(here - std::min(here, edge_->here));
    const auto past = static_cast<double>(slow.past.pieces - std::min(slow.past.pieces, edge_->past_pieces));
    const bool near = site_of(slow.past.name) == hosts_[place_].site;  // over a WAN there is nothing strange in it
    const bool sure = near && now - edge_->since > kSlowFor && past > kFurther * std::max(gained, 8.0);
    const auto each = slow.tried ? Nanos(kOtherTried) : Nanos(kOtherSlow);
    patience = sure ? Nanos(kSlowFor) * static_cast<std::int64_t>(slow.hosts) : each * (1 << (slow.hosts - 2));
  }
  return std::max(edge_->since + patience, trial_after_);
}

void Receiver::watch_edges(TimePoint now, std::uint64_t here) {
  const auto slow = pieces_ - here > kRest_pieces ? slow_edge(now, here) : std::nullopt;
  if (!slow) {
    edge_.reset();
    return;
  }
  if (!edge_ || edge_->to != slow->to) edge_ = Edge{slow->to, now, slow->past.pieces, here};
  const auto ripe = ripe_at(now, *slow, here);
  if (now < ripe || may_ask(slow->past.name) < kTrialFewest) {
    if (now < ripe) wake_by(ripe);
    return;
  }
  trial_ = Trial{};
  trial_->attempt = next_attempt_++;
  trial_->name = slow->past.name;
  trial_->until = now + kTrialWait;
  trial_->current_bytes_per_s = static_cast<double>(wire_meter_.bytes_per_s(now, kSlowFor));
  pending_.dial.push_back({trial_->attempt, trial_->name, Purpose::trial});
}

void Receiver::ask_more(std::uint64_t pieces) {
  pieces = std::min(pieces, may_ask(trial_->name));
  trial_->asked = pieces;
  trial_->pieces = 0;
  trial_->bytes = 0;
  pending_.more.push_back({trial_->attempt, static_cast<std::uint16_t>(pieces)});
}

void Receiver::got_of_trial(TimePoint now, std::size_t frame_bytes) {
  ++trial_->pieces;
  if (trial_->pieces == kUncounted_pieces) trial_->counted_from = now;
  if (trial_->pieces > kUncounted_pieces) trial_->bytes += frame_bytes;
  trial_->last_at = now;
  if (site_of(trial_->name) != hosts_[place_].site) ++afar_pieces_;
}

bool Receiver::came_fast() const {
  if (trial_->pieces <= kUncounted_pieces) return false;
  const auto took = std::max(to_s(trial_->last_at - trial_->counted_from), 1e-6);
  return static_cast<double>(trial_->bytes) / took > kFaster * trial_->current_bytes_per_s;
}

// A few pieces first; where they come fast, some more, for the first may have gone at the expense of an idle moment
// before.
void Receiver::step_trial(TimePoint now) {
  wake_by(trial_->until);
  const bool over = trial_->served && trial_->pieces >= trial_->asked;
  if (!over && now < trial_->until) return;
  if (over && came_fast() && !trial_->second && trial_->current_bytes_per_s > 0) {
    trial_->second = true;
    ask_more(3 * trial_->asked);
    if (trial_->asked >= kTrialFewest) return;
    return end_trial(now, true);
  }
  end_trial(now, came_fast());
}

void Receiver::end_trial(TimePoint now, bool faster) {
  const auto trial = *trial_;
  trial_.reset();
  edge_.reset();
  if (faster) {
    pending_.stay.push_back(trial.attempt);
    take_upstream(now, trial.attempt, trial.name);
    pending_.tell_have.push_back(trial.attempt);
    trial_after_ = now + kTrialAgain;
    return;
  }
  pending_.close.push_back(trial.attempt);
  if (upstream_ && trial.asked > 0) pending_.tell_have.push_back(upstream_->attempt);
  trial_after_ = now + trial_pause_;
  trial_pause_ = std::min<Nanos>(4 * trial_pause_, kTrialLastPause);
}

}  // namespace godwit::image::chain
