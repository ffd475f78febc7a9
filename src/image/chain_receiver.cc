#include "image/chain_receiver.h"

#include <algorithm>
#include <utility>

namespace godwit::image::chain {
namespace {

constexpr Seconds kPauseRemembered{2};

}  // namespace

void Receiver::set_hosts(std::vector<Host> hosts) {
  hosts_ = std::move(hosts);
  places_.clear();
  for (std::size_t place = 0; place < hosts_.size(); ++place) places_.try_emplace(hosts_[place].name, place);
  place_ = place_of(own_);
}

std::size_t Receiver::place_of(const std::string& name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? hosts_.size() : found->second;
}

const Host* Receiver::find(const std::string& name) const {
  const auto place = place_of(name);
  return place == hosts_.size() ? nullptr : &hosts_[place];
}

std::string Receiver::site_of(const std::string& name) const {
  const auto* host = find(name);
  return host ? host->site : std::string();
}

std::vector<Ancestor> Receiver::ancestors() const {
  std::vector<Ancestor> all;
  if (!upstream_) return all;
  const auto& news = upstream_->news;
  all.push_back({upstream_->name, news ? news->pieces : 0, news && news->tried});
  if (news) all.insert(all.end(), news->ancestors.begin(), news->ancestors.end());
  if (all.size() > kMostAncestors) all.resize(kMostAncestors);
  return all;
}

// ---- time

Receiver::Actions Receiver::poll(TimePoint now, std::uint64_t here) {
  if (polled_ && now - polled_at_ > kPaused) {
    paused_at_ = now;
    if (upstream_) upstream_->heard_at = now;  // what it said meanwhile is still to be read
  }
  polled_ = true;
  polled_at_ = now;
  here_ = here;
  wake_at_ = now + kNewsEvery;
  std::erase_if(blamed_, [&](const auto& each) { return each.second <= now; });
  if (place_ >= hosts_.size() || here == pieces_) {
    finish();
    return std::exchange(pending_, {});
  }
  if (upstream_ && !find(upstream_->name)) lose(now, Purpose::join);
  if (upstream_ && now - upstream_->heard_at > kSilent) lose(now, Purpose::replace);
  if (upstream_) feed(now);
  if (!upstream_ && !search_) search(now, place_ == 0 ? Kind::up : Kind::start, Purpose::join);
  if (search_) step_search(now);
  if (trial_) step_trial(now);
  if (upstream_ && !trial_ && !leaf_ && !is_paced_) watch_edges(now, here);
  return std::exchange(pending_, {});
}

void Receiver::finish() {
  if (upstream_) pending_.close.push_back(upstream_->attempt);
  if (trial_) pending_.close.push_back(trial_->attempt);
  upstream_.reset();
  trial_.reset();
  end_search(0);
  leaf_ = false;
}

// Where nothing comes any more, and nobody who is known has more: circles, and upstreams that have lost their own, or
// wait for the origin as all behind them do. There is nothing to be gained then by leaving them, but from one who has
// more: a chain that breaks up while it waits takes long to find itself again.
Receiver::Hunger Receiver::hunger(TimePoint now) const {
  const auto idle = now - upstream_->got_at;
  if (idle < kOrphaned) return Hunger::none;
  const auto before = ancestors();
  if (std::any_of(before.begin(), before.end(), [&](const Ancestor& each) { return each.pieces > here_; })) {
    return idle >= 2 * kStarved ? Hunger::leave : Hunger::none;
  }
  if (std::any_of(before.begin(), before.end(), [&](const Ancestor& each) { return each.name == own_; })) {
    return Hunger::leave;
  }
  if (before.size() > 1 && idle < kStarved) return Hunger::none;
  return leaf_ ? Hunger::leave : Hunger::look;
}

void Receiver::feed(TimePoint now) {
  const auto found = hunger(now);
  if (found == Hunger::leave) {
    lose(now, Purpose::join);
  } else if (found == Hunger::look && !search_) {
    search(now, Kind::up, Purpose::join);
    search_->aside = true;
  } else if (found == Hunger::none && search_) {
    end_search(0);
  }
}

// ---- what comes

void Receiver::heard(TimePoint now, Attempt attempt) {
  if (upstream_ && upstream_->attempt == attempt) upstream_->heard_at = now;
}

void Receiver::news(Attempt attempt, News news) {
  if (!upstream_ || upstream_->attempt != attempt) return;
  if (!news.ancestors.empty()) upstream_->ancestors = news.ancestors;
  upstream_->news = std::move(news);
}

bool Receiver::got(TimePoint now, Attempt attempt, std::size_t frame_bytes) {
  meter_.add(now, kPiece_bytes);
  wire_meter_.add(now, frame_bytes);
  if (upstream_ && upstream_->attempt == attempt) upstream_->got_at = now;
  if (!trial_ || trial_->attempt != attempt) return false;
  got_of_trial(now, frame_bytes);
  return trial_->pieces >= trial_->asked;
}

void Receiver::answered(TimePoint now, Attempt attempt, const Answer& answer) {
  if (trial_ && trial_->attempt == attempt) {
    if (answer.outcome == Outcome::served) {
      trial_->served = true;
      pending_.tell_have.push_back(attempt);
      const auto span = trial_->current_bytes_per_s * to_s(kTrialSpan) / kPiece_bytes;
      ask_more(std::clamp(static_cast<std::uint64_t>(span), kTrialFewest, kTrialMost));
      return;
    }
    const bool busy = answer.outcome == Outcome::busy;
    end_trial(now, false);
    if (busy) trial_after_ = now + kTrialAgain;
    return;
  }
  if (!search_) return;
  const auto asked = search_->asked.find(attempt);
  if (asked == search_->asked.end()) return;
  const auto candidate = asked->second.candidate;
  const bool more = !search_->aside || answer.pieces > here_;
  const bool of_use = more && (!candidate.whole_only || answer.pieces == pieces_);
  if (answer.outcome == Outcome::served && of_use) {
    take_upstream(now, attempt, candidate.name);
    pending_.tell_have.push_back(attempt);
    return;
  }
  search_->asked.erase(asked);
  pending_.close.push_back(attempt);
  search_->next_at = now;
  refused(now, candidate, answer);
}

void Receiver::failed(TimePoint now, Attempt attempt) {
  if (upstream_ && upstream_->attempt == attempt) {
    lose(now, Purpose::replace);
  } else if (trial_ && trial_->attempt == attempt) {
    end_trial(now, false);
  } else if (search_ && search_->asked.erase(attempt) > 0) {
    pending_.close.push_back(attempt);
    search_->next_at = now;
  }
}

void Receiver::moved(TimePoint now, Attempt attempt, const Moved& word) {
  if (!upstream_ || upstream_->attempt != attempt) {
    failed(now, attempt);
    return;
  }
  const bool is_origin = place_ == 0;  // which pulls from those that have everything, and nobody else
  const auto follow = !is_origin && word.why == Why::follow && find(word.successor) ? word.successor : std::string();
  leaf_ = leaf_ || (!is_origin && word.why == Why::demoted);
  lose(now, Purpose::join);
  if (follow.empty() || !search_ || leaf_) return;
  search_->candidates.push_front({follow, Purpose::join, false});
}

void Receiver::blame(TimePoint now, Attempt attempt, Nanos span) {
  std::string name;
  if (upstream_ && upstream_->attempt == attempt) name = upstream_->name;
  if (trial_ && trial_->attempt == attempt) name = trial_->name;
  if (name.empty()) return;
  blamed_[name] = now + span;
  failed(now, attempt);
}

void Receiver::lose(TimePoint now, Purpose purpose) {
  pending_.close.push_back(upstream_->attempt);
  lost_ = upstream_->name;
  lost_ancestors_ = std::move(upstream_->ancestors);
  const bool circle = std::any_of(lost_ancestors_.begin(), lost_ancestors_.end(),
                                  [&](const Ancestor& each) { return each.name == own_; });
  if (circle) lost_ancestors_.clear();  // all of them are in it
  upstream_.reset();
  edge_.reset();
  if (trial_ && trial_->served && purpose == Purpose::replace) {
    end_trial(now, true);
    return;
  }
  if (trial_ && leaf_) end_trial(now, false);
  const bool paused = paused_at_ && now - *paused_at_ < kPauseRemembered;
  search(now, leaf_ ? Kind::leaf : Kind::up, paused ? Purpose::join : purpose);
}

void Receiver::take_upstream(TimePoint now, Attempt attempt, const std::string& name) {
  if (upstream_) pending_.close.push_back(upstream_->attempt);
  end_search(attempt);
  upstream_ = Upstream{attempt, name, now, now, std::nullopt, {}};
  edge_.reset();
  trial_after_ = now;
  trial_pause_ = kTrialFirstPause;
}

}  // namespace godwit::image::chain
