#include "image/chain_sender.h"

#include <algorithm>

namespace godwit::image::chain {
namespace {

Nanos span_of_piece(std::uint64_t bytes_per_s) { return Nanos(kPieceFrame_bytes * 1'000'000'000ULL / bytes_per_s); }

}  // namespace

// ---- who is served

Sender::Served* Sender::first(TimePoint now) {
  for (auto& [link, each] : served_) {
    if (each.role == Role::first && each.pieces < pieces_ && now - each.heard_at < kQuiet) return &each;
  }
  return nullptr;
}

Outcome Sender::outcome_of(TimePoint now, std::size_t place, Purpose purpose, std::uint64_t pieces) {
  if (leaf_) return Outcome::leaf;
  const auto count = [this](Role role) {
    return static_cast<std::size_t>(
        std::count_if(served_.begin(), served_.end(), [&](const auto& each) { return each.second.role == role; }));
  };
  if (purpose == Purpose::trial) return count(Role::trial) > 0 || now < trial_again_ ? Outcome::busy : Outcome::served;
  if (purpose == Purpose::replace) return Outcome::served;
  if (const auto* holder = first(now)) {
    const bool cheap = holder->pieces <= pieces + pieces_ / kInsert;
    const bool before = purpose == Purpose::join && place < holder->place && cheap;
    return before ? Outcome::served : Outcome::occupied;
  }
  return purpose == Purpose::leaf && count(Role::leaf) >= kMostLeaves ? Outcome::busy : Outcome::served;
}

Answer Sender::admit(TimePoint now, Link link, const std::string& name, std::size_t place, const Hello& hello) {
  for (auto& [other, each] : served_) {  // its earlier connection: it has lost that
    if (each.name == name && hello.purpose != Purpose::trial) move(now, each, {Why::closing, {}});
  }
  Answer answer{outcome_of(now, place, hello.purpose, hello.pieces), 0, {}};
  if (answer.outcome == Outcome::occupied) answer.successor = first(now)->name;
  if (answer.outcome != Outcome::served) return answer;
  Served served;
  served.name = name;
  served.place = place;
  served.role = hello.purpose == Purpose::trial ? Role::trial : Role::asking;
  served.purpose = hello.purpose;
  served.has_list = hello.has_list;
  served.pieces = hello.pieces;
  served.theirs = PieceSet(pieces_);
  served.since = served.heard_at = now;
  served_.insert_or_assign(link, std::move(served));
  return answer;
}

// Others may have come since it was answered.
void Sender::take_place(TimePoint now, Served& served) {
  if (outcome_of(now, served.place, served.purpose, served.pieces) != Outcome::served) {
    const auto* holder = first(now);
    move(now, served, holder ? Moved{Why::follow, holder->name} : Moved{Why::closing, {}});
    return;
  }
  if (served.purpose == Purpose::leaf) {
    served.role = Role::leaf;
    return;
  }
  const bool inserted = served.purpose == Purpose::join && first(now);
  move_all(now, Role::first, inserted ? Moved{Why::follow, served.name} : Moved{Why::demoted, {}});
  move_all(now, Role::leaf, {Why::demoted, {}});
  served.role = Role::first;
}

void Sender::move(TimePoint now, Served& served, Moved last_word) {
  if (served.role == Role::moved) return;
  served.role = Role::moved;
  served.moved_at = now;
  served.last_word = std::move(last_word);
}

void Sender::move_all(TimePoint now, Role role, const Moved& last_word) {
  for (auto& [link, each] : served_) {
    if (each.role == role) move(now, each, last_word);
  }
}

void Sender::set_leaf(TimePoint now, bool leaf) {
  leaf_ = leaf;
  if (!leaf) return;
  for (auto& [link, each] : served_) move(now, each, {Why::closing, {}});
}

void Sender::heard(TimePoint now, Link link) {
  if (const auto found = served_.find(link); found != served_.end()) found->second.heard_at = now;
}

void Sender::have(TimePoint now, Link link, const Have& have) {
  const auto found = served_.find(link);
  if (found == served_.end()) return;
  auto& served = found->second;
  served.theirs.add_bits(have.first, have.bits);
  if (!have.last) return;
  if (served.role == Role::asking) take_place(now, served);
  served.ready = true;
}

bool Sender::wants_list(Link link) const {
  const auto found = served_.find(link);
  return found != served_.end() && found->second.ready && !found->second.has_list;
}

void Sender::list_sent(Link link) {
  const auto found = served_.find(link);
  if (found == served_.end()) return;
  found->second.has_list = true;
  found->second.ready = false;
}

void Sender::progress(Link link, std::uint64_t pieces) {
  if (const auto found = served_.find(link); found != served_.end()) found->second.pieces = pieces;
}

void Sender::want(Link link, const Want& want) {
  const auto found = served_.find(link);
  if (found == served_.end()) return;
  auto& wanted = found->second.wanted;
  for (const auto each : want.pieces) {
    if (each < pieces_ && std::find(wanted.begin(), wanted.end(), each) == wanted.end()) wanted.push_back(each);
  }
  while (wanted.size() > kMostWanted) wanted.pop_front();
}

void Sender::pace(Link link, std::uint64_t bytes_per_s) {
  const auto found = served_.find(link);
  if (found == served_.end()) return;
  found->second.fill_bytes_per_s = bytes_per_s;
  found->second.fill_from = {};
}

void Sender::more(Link link, std::uint64_t pieces) {
  const auto found = served_.find(link);
  if (found == served_.end() || found->second.role != Role::trial) return;
  auto& asking = found->second;
  const auto given = std::min({pieces, kTrialStep, kTrial_pieces - asking.trial_total});
  asking.trial_total += given;
  asking.trial_left += given;
  asking.trial_until = TimePoint::max();
}

void Sender::stay(TimePoint now, Link link) {
  const auto found = served_.find(link);
  if (found == served_.end() || found->second.role != Role::trial) return;
  move_all(now, Role::first, {Why::demoted, {}});
  move_all(now, Role::leaf, {Why::demoted, {}});
  found->second.role = Role::first;
  found->second.cursor = 0;
  trial_again_ = now + kBetweenTrials;
}

void Sender::gone(TimePoint now, Link link) {
  const auto found = served_.find(link);
  if (found == served_.end()) return;
  if (found->second.role == Role::trial) trial_again_ = now + kBetweenTrials;
  served_.erase(found);
}

// ---- with what

const Sender::Served* Sender::running_trial(TimePoint now) const {
  for (const auto& [link, each] : served_) {
    if (each.role == Role::trial && each.ready && each.trial_left > 0 && now < each.trial_until) return &each;
  }
  return nullptr;
}

bool Sender::may_send(TimePoint now, Turn& turn) {
  turn.again = rate_->take(now, kPieceFrame_bytes);
  return !turn.again;
}

// From the image's end: the others come there last.
Sender::Turn Sender::next_of_trial(TimePoint now, Served& asking, const PieceSet& mine) {
  Turn turn;
  if (asking.trial_left == 0) return turn;
  const auto piece = mine.last_beyond(asking.theirs, asking.cursor);
  if (!piece || !may_send(now, turn)) return turn;
  if (asking.trial_until == TimePoint::max()) asking.trial_until = now + kTrialPause;
  --asking.trial_left;
  asking.theirs.add(*piece);
  asking.cursor = *piece;
  turn.piece = piece;
  return turn;
}

// The first of those that are here; what the other has by now is wanted no more.
std::optional<std::uint64_t> Sender::next_wanted(Served& asking, const PieceSet& mine) const {
  std::erase_if(asking.wanted, [&](std::uint64_t each) { return asking.theirs.contains(each); });
  const auto here =
      std::find_if(asking.wanted.begin(), asking.wanted.end(), [&](std::uint64_t each) { return mine.contains(each); });
  if (here == asking.wanted.end()) return std::nullopt;
  return *here;
}

Sender::Turn Sender::next(TimePoint now, Link link, const PieceSet& mine) {
  const auto found = served_.find(link);
  if (found == served_.end()) return {};
  auto& asking = found->second;
  if (!asking.ready || !asking.has_list || asking.role == Role::moved || asking.role == Role::asking) return {};
  if (asking.role == Role::trial) return next_of_trial(now, asking, mine);
  Turn turn;
  if (const auto* trial = running_trial(now)) {
    turn.again = std::min(trial->trial_until, now + kTrialPause);
    return turn;
  }
  const auto wanted = next_wanted(asking, mine);
  const auto piece = wanted ? wanted : mine.first_beyond(asking.theirs, asking.cursor);
  if (!piece) return turn;
  if (!wanted && now < asking.fill_from) {
    turn.again = asking.fill_from;
    return turn;
  }
  if (!may_send(now, turn)) return turn;
  asking.theirs.add(*piece);
  if (!wanted) asking.cursor = *piece + 1;
  if (!wanted && asking.fill_bytes_per_s > 0) {
    asking.fill_from = std::max(now, asking.fill_from) + span_of_piece(asking.fill_bytes_per_s);
  }
  turn.piece = piece;
  return turn;
}

void Sender::not_sent(Link link, std::uint64_t piece) {
  rate_->give_back(kPieceFrame_bytes);
  if (const auto found = served_.find(link); found != served_.end()) found->second.theirs.remove(piece);
}

bool Sender::take_coming(TimePoint now, Link link, std::uint64_t piece) {
  const auto found = served_.find(link);
  if (found == served_.end()) return false;
  auto& asking = found->second;
  const bool is_served = asking.role == Role::first || asking.role == Role::leaf;
  if (!asking.ready || !asking.has_list || !is_served || running_trial(now)) return false;
  if (rate_->is_limited() || asking.fill_bytes_per_s > 0 || asking.theirs.contains(piece)) return false;
  asking.theirs.add(piece);
  asking.cursor = piece + 1;
  return true;
}

void Sender::sent(std::size_t frame_bytes) { rate_->give_back(kPieceFrame_bytes - frame_bytes); }

std::optional<Moved> Sender::moved(Link link) const {
  const auto found = served_.find(link);
  if (found == served_.end() || found->second.role != Role::moved) return std::nullopt;
  return found->second.last_word;
}

std::vector<Sender::Link> Sender::overdue(TimePoint now) const {
  std::vector<Link> links;
  for (const auto& [link, each] : served_) {
    const bool moved = each.role == Role::moved && now - each.moved_at > kLastWord;
    const bool tried = each.role == Role::trial && now - each.since > kTrialLimit;
    const bool asked = each.role == Role::asking && now - each.since > kGone;
    if (moved || tried || asked || now - each.heard_at > kGone) links.push_back(link);
  }
  return links;
}

std::vector<Sender::Successor> Sender::successors() const {
  std::vector<Successor> all;
  for (const auto& [link, each] : served_) {
    if (each.role != Role::first && each.role != Role::leaf) continue;
    all.push_back({each.name, each.pieces, each.role == Role::leaf});
  }
  return all;
}

}  // namespace godwit::image::chain
