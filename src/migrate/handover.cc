#include "migrate/handover.h"

#include <algorithm>

namespace godwit::migrate {

void Retry::start(TimePoint first) {
  at_ = first;
  wait_ = kFirstRetry;
}

void Retry::again(TimePoint now, Nanos limit) {
  at_ = now + wait_;
  wait_ = std::min<Nanos>(2 * wait_, limit);
}

// ---- S

Step SourceHandover::write(const Ballot& next, std::vector<Act> acts) {
  before_ = ballot_;
  ballot_ = next;
  return {next, std::move(acts)};
}

// What S has to say to D as things stand.
std::vector<Act> SourceHandover::saying() const {
  if (ballot_.decision == Decision::aborted) return {Act::say_abort};
  if (ballot_.decision == Decision::released && ballot_.carried_out) return {Act::say_settled};
  if (ballot_.decision == Decision::none && known_.told_peer) return {Act::say_released};
  return {};
}

Step SourceHandover::restore(TimePoint now) {
  if (ballot_.vote == Vote::none) return abort(now);
  if (!ballot_.settled) retry_.start(now);
  if (ballot_.decision == Decision::none) known_.told_peer = true;  // it may have been: from here on it is
  if (ballot_.carried_out || ballot_.decision == Decision::none) return {};
  return {{}, {ballot_.decision == Decision::aborted ? Act::run : Act::discard}};
}

Step SourceHandover::drained(TimePoint now) {
  known_.drained = true;
  return vote_if_complete(now);
}

Step SourceHandover::vote_if_complete(TimePoint now) {
  if (ballot_.vote != Vote::none || !known_.drained || !known_.peer_prepared) return {};
  Ballot next = ballot_;
  next.vote = Vote::released;
  retry_.start(now + kCloudPatience);
  return write(next, {Act::ask_cloud});
}

Step SourceHandover::abort(TimePoint now) {
  if (ballot_.vote != Vote::none) return {};
  return decide(now, Decision::aborted);
}

Step SourceHandover::decide(TimePoint now, Decision decision, bool fenced) {
  Ballot next = ballot_;
  next.decision = decision;
  next.fenced = fenced;
  if (next.vote == Vote::none) next.vote = Vote::aborted;
  retry_.start(now + kFirstRetry);
  if (decision == Decision::aborted) return write(next, {Act::run, Act::say_abort});
  return write(next, {Act::discard});
}

Step SourceHandover::connected(TimePoint) { return {{}, saying()}; }

Step SourceHandover::heard(TimePoint now, Saying said) {
  const bool open = ballot_.vote == Vote::released && ballot_.decision == Decision::none;
  switch (said) {
    case Saying::prepared:
      known_.peer_prepared = true;
      if (ballot_.vote == Vote::none) return vote_if_complete(now);
      return {{}, saying()};
    case Saying::owned:
      if (open) return decide(now, Decision::released);
      if (ballot_.vote == Vote::none) return abort(now);  // it cannot be: D breaks the rules, and we keep what we have
      known_.disputed = ballot_.decision == Decision::aborted;
      return {{}, saying()};
    case Saying::abort:
      if (open) return decide(now, Decision::aborted);
      if (ballot_.vote == Vote::none) return abort(now);
      return {{}, saying()};
    case Saying::settled:
    case Saying::unknown:
      if (ballot_.vote == Vote::none) return abort(now);
      // A D that prepared has a record until we say that we know. Where it has lost it, only a person can tell.
      if (ballot_.decision == Decision::none) return {};
      return settle();
    case Saying::released: return {};
  }
  return {};
}

Step SourceHandover::settle() {
  if (ballot_.settled) return {};
  Ballot next = ballot_;
  next.settled = true;
  if (next.carried_out) retry_.stop();
  return write(next, {});
}

Step SourceHandover::cloud_voted(TimePoint now, Decision vote) {
  if (vote == Decision::none) return {};
  known_.cloud = vote;
  if (ballot_.vote == Vote::none) return vote == Decision::aborted ? abort(now) : Step{};
  if (ballot_.decision != Decision::none || known_.told_peer) return {};
  known_.told_peer = true;
  retry_.start(now + kFirstRetry);
  return {{}, {Act::say_released}};
}

Step SourceHandover::fenced(TimePoint now, Decision winner) {
  if (winner == Decision::none || ballot_.decision != Decision::none) return {};
  if (ballot_.vote == Vote::none) {
    // Before S's vote everything that was acknowledged is here, and perhaps only here.
    return winner == Decision::aborted ? abort(now) : Step{};
  }
  return decide(now, winner, true);
}

Step SourceHandover::carried_out(TimePoint now) {
  if (ballot_.carried_out || ballot_.decision == Decision::none) return {};
  known_.done = true;
  Ballot next = ballot_;
  next.carried_out = true;
  Step step = write(next, {});
  if (!ballot_.settled && ballot_.decision == Decision::released) {
    step.acts = saying();
    retry_.start(now + kFirstRetry);
  }
  return step;
}

Step SourceHandover::write_failed(TimePoint now) {
  ballot_ = before_;
  if (ballot_.vote == Vote::none) {
    // Nothing of ours is on disk: a restart votes aborted, and so does this.
    ballot_.vote = Vote::aborted;
    ballot_.decision = Decision::aborted;
    retry_.start(now + kFirstRetry);
    return {{}, {Act::run, Act::say_abort}};
  }
  retry_.start(now + kFirstRetry);
  return {};
}

Step SourceHandover::poll(TimePoint now) {
  if (!retry_.due(now)) return {};
  if (known_.done && !ballot_.carried_out) return carried_out(now);
  if (ballot_.settled) {
    retry_.stop();
    return {};
  }
  if (ballot_.decision != Decision::none) {
    retry_.again(now, kSettleRetryLimit);
    return {{}, saying()};
  }
  retry_.again(now, kOpenRetryLimit);
  known_.told_peer = true;
  std::vector<Act> acts{Act::say_released};
  if (known_.cloud == Decision::none) acts.insert(acts.begin(), Act::ask_cloud);
  return {{}, std::move(acts)};
}

// ---- D

Step DestinationHandover::write(const Ballot& next, std::vector<Act> acts) {
  before_ = ballot_;
  ballot_ = next;
  return {next, std::move(acts)};
}

std::vector<Act> DestinationHandover::saying() const {
  switch (ballot_.vote) {
    case Vote::none: return {};
    case Vote::prepared: return {Act::say_prepared};
    case Vote::released: return ballot_.carried_out ? std::vector{Act::say_owned} : std::vector<Act>{};
    case Vote::aborted: return {Act::say_abort};
  }
  return {};
}

Step DestinationHandover::restore(TimePoint now) {
  if (ballot_.vote == Vote::none) return abort(now);
  if (ballot_.vote == Vote::prepared) retry_.start(now + kLossPatience);
  if (ballot_.vote == Vote::prepared || ballot_.carried_out) return {};
  return {{}, {ballot_.vote == Vote::released ? Act::run : Act::discard}};
}

Step DestinationHandover::prepared(TimePoint now) {
  if (ballot_.vote != Vote::none) return {};
  Ballot next = ballot_;
  next.vote = Vote::prepared;
  retry_.start(now + kSilencePatience);
  return write(next, {Act::say_prepared});
}

Step DestinationHandover::abort(TimePoint) {
  if (ballot_.vote != Vote::none) return {};
  return give_up(ballot_);
}

Step DestinationHandover::give_up(Ballot next) {
  next.vote = Vote::aborted;
  next.decision = Decision::aborted;
  retry_.stop();
  return write(next, {Act::discard, next.settled ? Act::say_settled : Act::say_abort});
}

Step DestinationHandover::own(Ballot next) {
  next.vote = Vote::released;
  next.decision = Decision::released;
  retry_.stop();
  return write(next, {Act::run});
}

Step DestinationHandover::connected(TimePoint now) {
  if (ballot_.vote == Vote::prepared) retry_.start(now + kSilencePatience);
  return {{}, saying()};
}

Step DestinationHandover::disconnected(TimePoint now) {
  if (ballot_.vote == Vote::none) return abort(now);
  const auto soon = now + kLossPatience;
  if (ballot_.vote == Vote::prepared && (!retry_.at() || *retry_.at() > soon)) retry_.start(soon);
  return {};
}

Step DestinationHandover::heard(TimePoint now, Saying said) {
  Ballot next = ballot_;
  switch (said) {
    case Saying::released:
      if (ballot_.vote == Vote::prepared) return own(next);
      if (ballot_.vote == Vote::none) return abort(now);  // S breaks the rules: it has had no `prepared` from us
      return {{}, saying()};
    case Saying::abort:
      if (ballot_.vote == Vote::released) {
        known_.disputed = true;
        return {{}, saying()};
      }
      if (ballot_.vote == Vote::aborted) return settle();
      next.settled = true;
      return give_up(next);
    case Saying::settled:
      if (ballot_.vote == Vote::none) return abort(now);
      if (ballot_.vote == Vote::aborted) {
        known_.disputed = true;
        return {{}, saying()};
      }
      if (ballot_.vote == Vote::released) return settle();
      next.settled = true;  // a person gave it to us at S's side, which is more than S's vote
      return own(next);
    case Saying::prepared:
    case Saying::owned:
    case Saying::unknown: return {};
  }
  return {};
}

Step DestinationHandover::settle() {
  if (ballot_.settled) return {{}, {Act::say_settled}};
  Ballot next = ballot_;
  next.settled = true;
  return write(next, {Act::say_settled});
}

Step DestinationHandover::cloud_voted(TimePoint now, Decision vote) {
  if (vote == Decision::aborted && ballot_.vote == Vote::none) return abort(now);
  if (ballot_.vote != Vote::prepared || vote == Decision::none) return {};
  return vote == Decision::released ? own(ballot_) : give_up(ballot_);
}

Step DestinationHandover::fenced(TimePoint, Decision winner) {
  Ballot next = ballot_;
  next.fenced = true;
  if (winner == Decision::released && ballot_.vote == Vote::prepared) return own(next);
  if (winner == Decision::aborted && (ballot_.vote == Vote::prepared || ballot_.vote == Vote::none)) {
    return give_up(next);
  }
  return {};
}

Step DestinationHandover::carried_out(TimePoint) {
  if (ballot_.carried_out || ballot_.decision == Decision::none) return {};
  known_.done = true;
  Ballot next = ballot_;
  next.carried_out = true;
  Step step = write(next, {});
  if (ballot_.vote == Vote::released) step.acts = saying();
  return step;
}

Step DestinationHandover::write_failed(TimePoint now) {
  ballot_ = before_;
  if (ballot_.vote == Vote::none) {
    ballot_.vote = Vote::aborted;
    ballot_.decision = Decision::aborted;
    return {{}, {Act::discard, Act::say_abort}};
  }
  if (ballot_.vote == Vote::prepared || known_.done) retry_.start(now + kFirstRetry);
  return {};
}

Step DestinationHandover::poll(TimePoint now) {
  if (!retry_.due(now)) return {};
  if (known_.done && !ballot_.carried_out) return carried_out(now);
  if (ballot_.vote != Vote::prepared) {
    retry_.stop();
    return {};
  }
  retry_.again(now, kOpenRetryLimit);
  return {{}, {Act::ask_cloud, Act::say_prepared}};
}

}  // namespace godwit::migrate
