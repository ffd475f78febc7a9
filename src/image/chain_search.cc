// How a host of a chain finds an upstream.
#include "image/chain_receiver.h"

namespace godwit::image::chain {
namespace {

constexpr std::size_t kMostCandidates = 128;  // in one round

}  // namespace

void Receiver::search(TimePoint now, Kind kind, Purpose purpose) {
  end_search(0);
  search_ = Search{};
  search_->kind = kind;
  search_->purpose = kind == Kind::leaf ? Purpose::leaf : purpose;
  search_->begun = now;
  begin_round(now);
}

// All that were asked are left, but for the one that is taken.
void Receiver::end_search(Attempt taken) {
  if (!search_) return;
  for (const auto& [attempt, asked] : search_->asked) {
    if (attempt != taken) pending_.close.push_back(attempt);
  }
  search_.reset();
}

void Receiver::begin_round(TimePoint now) {
  const bool many = search_->aside && ancestors().size() > 1;  // as many as wait in a chain: the origin hears them all
  const auto last = many ? kAsideLast : kAgainLast;
  const auto pause = std::min<Nanos>(Nanos(kAgain) * (1U << std::min(search_->rounds, 8)) / 2, last);
  const bool first = search_->rounds == 0;
  search_->next_at = first ? now : now + (search_->kind == Kind::start ? Nanos(kStartAgain) : pause);
  search_->tried.clear();
  search_->candidates = candidates();
  ++search_->rounds;
}

void Receiver::step_search(TimePoint now) {
  for (auto each = search_->asked.begin(); each != search_->asked.end();) {
    wake_by(each->second.until);
    if (now < each->second.until) {
      ++each;
      continue;
    }
    pending_.close.push_back(each->first);
    each = search_->asked.erase(each);
  }
  if (search_->kind == Kind::start && now - search_->begun > kGrace) search(now, Kind::up, Purpose::join);
  if (search_->candidates.empty() && search_->asked.empty()) {
    if (search_->kind == Kind::leaf && search_->rounds > kLeafRounds) leaf_ = false;
    const bool anew = search_->kind == Kind::tail || (search_->kind == Kind::leaf && !leaf_);
    if (anew) search_->kind = Kind::up;
    if (search_->kind == Kind::up) search_->purpose = Purpose::join;
    if (search_->kind == Kind::up) lost_ancestors_.clear();
    begin_round(now);
  }
  while (!search_->candidates.empty() && search_->asked.size() < kMostAsked && search_->next_at <= now) ask_next(now);
  wake_by(std::max(search_->next_at, now + Millis{1}));
}

void Receiver::ask_next(TimePoint now) {
  const auto candidate = std::move(search_->candidates.front());
  search_->candidates.pop_front();
  const auto* host = find(candidate.name);
  if (!host || candidate.name == own_ || !search_->tried.insert(candidate.name).second) return;
  const auto attempt = next_attempt_++;
  search_->asked[attempt] = {candidate, now + kAnswerLimit};
  const bool afar = host->site != hosts_[place_].site;
  search_->next_at = now + (afar ? Nanos(kStaggerAfar) : Nanos(kStagger));
  pending_.dial.push_back({attempt, candidate.name, candidate.purpose});
}

void Receiver::refused(TimePoint now, const Candidate& candidate, const Answer& answer) {
  if (answer.outcome != Outcome::occupied || candidate.whole_only) return;
  if (search_->aside) {
    if (answer.pieces <= here_) return;
    lose(now, Purpose::join);
  }
  const bool from_end = search_->kind == Kind::tail || search_->kind == Kind::leaf;
  if (!from_end) {
    search(now, Kind::tail, Purpose::join);
    return;
  }
  // Whoever is served there may be the chain's end, wherever it stands in the list.
  if (answer.successor != own_ && !search_->tried.contains(answer.successor)) {
    search_->candidates.push_front({answer.successor, candidate.purpose, false});
  }
}

std::deque<Receiver::Candidate> Receiver::candidates() const {
  std::deque<Candidate> all;
  const auto add = [&](const std::string& name, Purpose purpose, bool whole_only = false) {
    const bool again = search_->kind != Kind::start && name == lost_;
    const bool has_it = upstream_ && upstream_->name == name;
    if (!again && !has_it && !blamed_.contains(name)) all.push_back({name, purpose, whole_only});
  };
  const auto& site = hosts_[place_].site;
  std::map<std::string, std::size_t> afar;  // asked so far of other sites
  const auto add_before = [&](const std::string& name, Purpose purpose) {
    const auto there = site_of(name);
    if (there != site && ++afar[there] > kAskedOfSite) return false;
    add(name, purpose);
    return true;
  };
  const auto upwards = [&](Purpose purpose) {
    if (place_ == 0) return;
    auto left = kAskedUpwards;
    for (auto at = place_; at > 1 && left > 0; --at) left -= add_before(hosts_[at - 1].name, purpose) ? 1 : 0;
    add(hosts_[0].name, purpose);
  };
  const auto behind = hosts_.size() - place_ - 1;
  switch (search_->kind) {
    case Kind::start: add(hosts_[place_ - 1].name, Purpose::join); break;
    case Kind::up:
      for (const auto& each : lost_ancestors_) (void)add_before(each.name, search_->purpose);
      upwards(Purpose::join);
      for (std::size_t i = 0; i < std::min(behind, kAskedBehind); ++i) {
        const auto turn = static_cast<std::size_t>(search_->rounds) * kAskedBehind + i;
        add(hosts_[hosts_.size() - 1 - turn % behind].name, Purpose::leaf, true);
      }
      break;
    case Kind::tail:
    case Kind::leaf:
      for (auto at = hosts_.size(); at > 0 && all.size() < kAskedUpwards; --at) {
        if (hosts_[at - 1].site == site) add(hosts_[at - 1].name, search_->purpose);
      }
      upwards(search_->purpose);
      for (auto at = hosts_.size(); at > place_ + 1 && all.size() < kMostCandidates; --at) {
        add(hosts_[at - 1].name, search_->purpose);
      }
      break;
  }
  if (find(lost_) && search_->kind == Kind::up) all.push_back({lost_, Purpose::join, false});
  return all;
}

}  // namespace godwit::image::chain
