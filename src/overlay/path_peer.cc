#include "overlay/path_peer.h"

#include "overlay/relay_endpoint.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr std::uint64_t kTries = Way::kRemembered - 1;  // the bits of a token that count up
static_assert((Way::kRemembered & kTries) == 0);

std::uint64_t draw_token(sys::Random& random) {
  std::array<std::byte, 8> bytes{};
  random.fill(bytes);
  return std::max<std::uint64_t>(load_be64(bytes) & ~kTries, Way::kRemembered);  // never 0
}

void keep_earliest(std::optional<TimePoint>& into, const std::optional<TimePoint>& at) {
  if (at) into = into ? std::min(*into, *at) : *at;
}

}  // namespace

// ---- ways

int PathPeer::find(const sys::UdpEndpoint& at) const {
  if (current() && current()->at == at) return current_;
  const auto found = std::ranges::find(ways_, at, &Way::at);
  return found == ways_.end() ? -1 : static_cast<int>(found - ways_.begin());
}

int PathPeer::find_or_add(const sys::UdpEndpoint& at, WayKind kind) {
  if (const auto found = find(at); found >= 0) return found;
  Way fresh;
  fresh.at = at;
  fresh.kind = kind;
  fresh.proven = kind == WayKind::relay;
  if (ways_.size() < kMostWays) {
    ways_.push_back(fresh);
    return static_cast<int>(ways_.size()) - 1;
  }
  int victim = -1;
  for (int i = 0; i < static_cast<int>(kMostWays); ++i) {
    if (i == current_ || way(i).kind == WayKind::relay) continue;
    const auto worth = [](const Way& each) { return std::pair(each.proven, each.heard_at); };
    if (victim < 0 || worth(way(i)) < worth(way(victim))) victim = i;
  }
  way(victim) = fresh;
  return victim;
}

bool PathPeer::is_fresh(const Way& each, TimePoint now) const {
  return &each == current() || now - each.heard_at < kFreshFor;
}

void PathPeer::add_configured(TimePoint now, const sys::UdpEndpoint& at) {
  if (find(at) >= 0) return;
  find_or_add(at, WayKind::configured);
  choose(now);
  if (awake_ && speaks_) begin_burst(now, List::once_more);
}

void PathPeer::erase(int place) {
  ways_.erase(ways_.begin() + place);
  if (current_ == place) {
    current_ = -1;
    check_.reset();
  } else if (current_ > place) {
    --current_;
  }
}

void PathPeer::set_relays(TimePoint now, std::span<const sys::UdpEndpoint> best_first) {
  for (auto i = static_cast<int>(ways_.size()) - 1; i >= 0; --i) {
    if (way(i).kind == WayKind::relay && std::ranges::find(best_first, way(i).at) == best_first.end()) erase(i);
  }
  for (std::uint8_t rank = 0; rank < best_first.size(); ++rank) {
    way(find_or_add(best_first[rank], WayKind::relay)).rank = rank;
  }
  choose(now);
}

// ---- the choice

void PathPeer::use(TimePoint now, int place) {
  if (place == current_) return;
  current_ = place;
  ++changes_;
  check_.reset();
  unheard_since_.reset();
  traffic_at_ = std::max(traffic_at_, way(place).heard_at);
  if (has_direct()) {
    next_burst_at_.reset();
    pause_ = kFirstPause;
    if (!measure_at_) measure_at_ = now + kMeasureEvery;
  }
}

void PathPeer::choose(TimePoint now) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(ways_.size()); ++i) {
    const auto& each = way(i);
    if (each.kind == WayKind::relay || !each.proven || !is_fresh(each, now)) continue;
    if (best < 0 || each.round_trip < way(best).round_trip) best = i;
  }
  if (best < 0) {
    choose_without_direct(now);
  } else if (!has_direct()) {
    use(now, best);
  } else if (leads_) {
    const auto now_takes = current()->round_trip;
    if (way(best).round_trip + std::max<Nanos>(kHysteresis, now_takes / 8) < now_takes) use(now, best);
  }
}

// Those that are not dead, and of them the nearest; -1: there is none.
int PathPeer::best_relay() const {
  int best = -1;
  const auto worth = [this](int place) {
    const auto& each = ways_[static_cast<std::size_t>(place)];
    return std::pair(!each.proven, each.rank);
  };
  for (int i = 0; i < static_cast<int>(ways_.size()); ++i) {
    if (ways_[static_cast<std::size_t>(i)].kind != WayKind::relay) continue;
    if (best < 0 || worth(i) < worth(best)) best = i;
  }
  return best;
}

// What is configured may be right; a relay works. Which one, the leader says.
void PathPeer::choose_without_direct(TimePoint now) {
  const bool by_relay = current() && current()->kind == WayKind::relay;
  if (const auto relay = best_relay(); relay >= 0) {
    const bool stays = by_relay && current()->proven && (!leads_ || current()->rank <= way(relay).rank);
    if (!stays) use(now, relay);
    return;
  }
  const auto at = std::ranges::find(ways_, WayKind::configured, &Way::kind);
  if (at != ways_.end() && !current()) use(now, static_cast<int>(at - ways_.begin()));
}

void PathPeer::heard(TimePoint now, int place) {
  way(place).heard_at = now;
  if (way(place).kind == WayKind::relay) way(place).proven = true;
  if (place != current_) return;
  traffic_at_ = now;
  unheard_since_.reset();
  if (check_ && check_->reason != Reason::moved) check_passed(now);
}

// The peer uses the way for data.
void PathPeer::follow(TimePoint now, int place) {
  if (place == current_) return;
  if (!speaks_) {
    use(now, place);
  } else if (leads_) {
    lead(now, place);
  } else {
    move_to(now, place);
  }
}

// The peer's way is not ours, and ours counts. It has a reason, though.
void PathPeer::lead(TimePoint now, int place) {
  const auto& theirs = way(place);
  if (!current()) {
    use(now, place);
  } else if (theirs.kind == WayKind::relay) {
    if (has_direct()) begin_check(now, Reason::silence, {});  // is ours dead?
    const bool relayed = current()->kind == WayKind::relay && current()->proven;
    if (!has_direct() && !relayed) use(now, place);
  } else if (current()->kind == WayKind::relay) {
    if (theirs.proven) {
      use(now, place);
    } else {
      begin_burst(now, List::once_more);
    }
  } else if (!theirs.proven && now - moved_at_ < kMovesAreRare) {
    begin_check(now, Reason::silence, {});  // two NATs that never use a port twice: following them has no end
  } else if (!theirs.proven || check_) {
    moved_at_ = now;
    move_to(now, place);  // it roamed
  }
}

void PathPeer::move_to(TimePoint now, int place) {
  const auto before = current() ? std::optional(current()->at) : std::nullopt;
  use(now, place);
  if (way(place).kind == WayKind::relay || way(place).proven) return;
  begin_check(now, Reason::moved, {});
  check_->before = before;
}

// ---- what is heard and said

void PathPeer::wake(TimePoint now) {
  used_at_ = now;
  if (awake_ || !ready_ || !speaks_) return;
  awake_ = true;
  for (auto& each : ways_) each.proven = each.kind == WayKind::relay;  // mappings have gone while it was quiet
  traffic_at_ = now;
  pause_ = kFirstPause;
  choose(now);
  begin_burst(now, List::anew);
}

void PathPeer::on_ready(TimePoint now) {
  ready_ = true;
  wake(now);
}

void PathPeer::on_own_changed(TimePoint now) {
  if (!awake_) return;
  pause_ = kFirstPause;
  begin_burst(now, List::anew);
  if (has_direct()) begin_check(now, Reason::silence, {});
}

void PathPeer::on_data(TimePoint now, const sys::UdpEndpoint& from, bool newest) {
  const auto place = find_or_add(from, is_relayed(from) ? WayKind::relay : WayKind::seen);
  heard(now, place);
  if (newest) follow(now, place);
  ready_ = true;
  wake(now);
}

void PathPeer::on_sent(TimePoint now) {
  wake(now);
  if (!unheard_since_) {
    unheard_since_ = now;
    silence_ = now - traffic_at_;
  }
  traffic_at_ = now;
}

void PathPeer::on_message(TimePoint now, PathScope& scope, const sys::UdpEndpoint& from, const PathMessage& message) {
  if (!speaks_) return;
  ready_ = true;
  switch (message.kind) {
    case PathMessageKind::probe: return on_probe(now, scope, from, message);
    case PathMessageKind::answer: return on_answer(now, message);
    case PathMessageKind::candidates: return on_candidates(now, scope, from, message);
    case PathMessageKind::size:
      answer(scope, from, message.token);
      return heard(now, find_or_add(from, is_relayed(from) ? WayKind::relay : WayKind::seen));
  }
}

void PathPeer::on_probe(TimePoint now, PathScope& scope, const sys::UdpEndpoint& from, const PathMessage& message) {
  answer(scope, from, message.token);
  const auto place = find_or_add(from, is_relayed(from) ? WayKind::relay : WayKind::seen);
  if (place == current_ && now - traffic_at_ > KeepaliveInterval::kLeast / 2) my_turn_ = true;
  heard(now, place);
  if (message.in_use) follow(now, place);
  if (!way(place).proven && way(place).kind != WayKind::relay) probe(now, scope, place);
}

void PathPeer::answer(PathScope& scope, const sys::UdpEndpoint& to, std::uint64_t token) {
  PathMessage out;
  out.kind = PathMessageKind::answer;
  out.token = token;
  out.count = 1;
  out.candidates[0] = {to, CandidateKind::seen};
  scope.out.push_back({id_, to, encode_path_message(out)});
}

void PathPeer::on_answer(TimePoint now, const PathMessage& message) {
  if (list_token_ != 0 && message.token == list_token_) {
    list_token_ = 0;
    return;
  }
  const auto sized = std::ranges::find_if(ways_, [&](Way& each) { return each.mtu.on_answer(now, message.token); });
  if (sized != ways_.end()) return heard(now, static_cast<int>(sized - ways_.begin()));
  const auto same = [&](const Way& each) { return each.token != 0 && each.token == (message.token & ~kTries); };
  const auto asked = std::ranges::find_if(ways_, same);
  const auto which = message.token & kTries;
  if (asked == ways_.end() || which >= asked->probes) return;
  const auto took = now - asked->sent_at[which];
  asked->round_trip = asked->round_trip == Nanos{0} ? took : asked->round_trip + (took - asked->round_trip) / 4;
  asked->proven = true;
  const auto place = static_cast<int>(asked - ways_.begin());
  heard(now, place);  // by whatever port of its NAT the answer came: what we sent was heard
  if (place == current_) {
    seen_as_ = message.candidates[0].at;
    if (check_) check_passed(now);
    if (burst_ == 0 && list_anew_ && current()->kind == WayKind::relay) {
      opening_trip_ = took;
      burst_at_ = now;
    }
  }
  choose(now);
}

void PathPeer::on_candidates(TimePoint now, PathScope& scope, const sys::UdpEndpoint& from,
                             const PathMessage& message) {
  answer(scope, from, message.token);
  heard(now, find_or_add(from, is_relayed(from) ? WayKind::relay : WayKind::seen));
  if (message.token == last_list_) return;
  last_list_ = message.token;
  for (const auto& each : message.list()) {
    const auto place = find_or_add(each.at, WayKind::listed);
    if (place >= 0) way(place).listed = each.kind;
  }
  begin_burst(now, List::once_more);  // now, as the peer does
}

void PathPeer::probe(TimePoint now, PathScope& scope, int place) {
  auto& to = way(place);
  if (to.token == 0 || to.probes == Way::kRemembered) {
    to.token = draw_token(scope.random);
    to.probes = 0;
  }
  PathMessage out;
  out.in_use = place == current_;
  out.token = to.token | to.probes;
  to.sent_at[to.probes++] = now;
  scope.out.push_back({id_, to.at, encode_path_message(out)});
  if (place == current_) traffic_at_ = now;
}

// ---- what is done in time

void PathPeer::begin_burst(TimePoint now, List list) {
  burst_ = 0;
  burst_at_ = now;
  next_burst_at_.reset();
  if (list != List::anew) return;
  list_anew_ = true;
  opening_trip_.reset();
  unmeasured_ = 0;
}

void PathPeer::send_candidates(PathScope& scope) {
  if (list_anew_) list_token_ = draw_token(scope.random);
  list_anew_ = false;
  if (list_token_ == 0 || !current()) return;
  PathMessage out;
  out.kind = PathMessageKind::candidates;
  out.token = list_token_;
  out.count = scope.own.size();
  std::ranges::copy(scope.own, out.candidates.begin());
  scope.out.push_back({id_, current()->at, encode_path_message(out)});
}

// By a relay our candidates take half its round trip, and the peer begins when it has them: so do we. Then the first
// datagrams of both pass each other on the way, and neither finds a NAT whose host hasn't spoken yet. False: not now.
bool PathPeer::open_burst(TimePoint now, PathScope& scope) {
  if (!list_anew_ || !current() || current()->kind != WayKind::relay) return true;
  if (!opening_trip_ && unmeasured_ < kMostBeforeMeasured) {
    ++unmeasured_;
    probe(now, scope, current_);
    burst_at_ = now + kBeforeMeasured;
    return false;
  }
  send_candidates(scope);
  burst_at_ = now + opening_trip_.value_or(current()->round_trip) / 2;
  return false;
}

void PathPeer::run_burst(TimePoint now, PathScope& scope) {
  if (burst_ == 0 && !open_burst(now, scope)) return;
  send_candidates(scope);
  for (int i = 0; i < static_cast<int>(ways_.size()); ++i) {
    const auto& each = way(i);
    const bool known = each.proven && now - each.heard_at < kSuspectAfter;
    if (known || (each.kind == WayKind::relay && burst_ > 0)) continue;
    probe(now, scope, i);
  }
  if (++burst_ < kBurst.size()) {
    burst_at_ = now + kBurst[burst_];
    return;
  }
  if (has_direct()) return;
  next_burst_at_ = now + pause_;
  pause_ = pause_ == kFirstPause ? Nanos(kSecondPause) : std::min<Nanos>(2 * pause_, kLongestPause);
}

void PathPeer::begin_check(TimePoint now, Reason reason, Nanos silence) {
  if (check_ || !current()) return;
  check_ = Check{reason, silence, std::nullopt, kCheckProbes, now};
}

void PathPeer::run_check(TimePoint now, PathScope& scope) {
  if (check_->left == 0) return check_failed(now);
  --check_->left;
  check_->next = now + std::clamp<Nanos>(2 * current()->round_trip, kLeastCheckPause, kMostCheckPause);
  probe(now, scope, current_);
}

void PathPeer::check_passed(TimePoint now) {
  if (current()->kind != WayKind::relay) keepalive_.survived(now, check_->silence);
  check_.reset();
  unheard_since_.reset();
}

void PathPeer::check_failed(TimePoint now) {
  const auto failed = std::exchange(check_, std::nullopt);
  unheard_since_.reset();
  const bool direct = current()->kind != WayKind::relay;
  way(current_).proven = false;
  if (direct && failed->silence >= KeepaliveInterval::kLeast) keepalive_.lost(now, failed->silence);
  const auto back = failed->before ? find(*failed->before) : -1;
  if (back >= 0 && (way(back).proven || way(back).kind == WayKind::relay)) {
    use(now, back);
    return;
  }
  choose(now);
  if (burst_ == kBurst.size() && !next_burst_at_) begin_burst(now, List::anew);
}

// Is another way faster by now?
void PathPeer::measure(TimePoint now, PathScope& scope) {
  measure_at_ = now + kMeasureEvery;
  if (!is_used(now)) return;
  for (int i = 0; i < static_cast<int>(ways_.size()); ++i) {
    if (way(i).proven && is_fresh(way(i), now)) probe(now, scope, i);
  }
}

// How long may a datagram be?
void PathPeer::probe_size(TimePoint now, PathScope& scope) {
  auto& by = way(current_);
  const auto due = by.mtu.poll(now, by.round_trip, by.heard_at, scope.random);
  if (!due) return;
  PathMessage out;
  out.kind = PathMessageKind::size;
  out.token = due->token;
  out.payload_bytes = due->datagram_bytes - kSealOverhead;
  scope.out.push_back({id_, by.at, encode_path_message(out)});
}

std::optional<TimePoint> PathPeer::keepalive_at() const {
  if (!has_direct() || check_) return std::nullopt;
  return traffic_at_ + keepalive_.get() + (my_turn_ ? Nanos{0} : Nanos(kTurnGrace));
}

void PathPeer::poll(TimePoint now, PathScope& scope) {
  if (!awake_) return;
  if (is_quiet(now)) {
    awake_ = false;
    check_.reset();
    unheard_since_.reset();
    return;
  }
  if (next_burst_at_ && now >= *next_burst_at_) begin_burst(now, List::anew);
  if (burst_ < kBurst.size() && now >= burst_at_) run_burst(now, scope);
  if (unheard_since_ && now >= *unheard_since_ + kSuspectAfter) {
    unheard_since_.reset();
    begin_check(now, Reason::silence, silence_);
  }
  if (const auto at = keepalive_at(); at && now >= *at) {
    begin_check(now, Reason::keepalive, now - traffic_at_);
    my_turn_ = false;
  }
  if (measure_at_ && now >= *measure_at_) measure(now, scope);
  if (check_ && now >= check_->next) run_check(now, scope);
  if (current() && is_used(now)) probe_size(now, scope);
}

std::optional<TimePoint> PathPeer::deadline() const {
  if (!awake_) return std::nullopt;
  std::optional<TimePoint> out = used_at_ + kQuietAfter + Nanos{1};
  if (burst_ < kBurst.size()) keep_earliest(out, burst_at_);
  keep_earliest(out, next_burst_at_);
  if (unheard_since_) keep_earliest(out, *unheard_since_ + kSuspectAfter);
  keep_earliest(out, keepalive_at());
  keep_earliest(out, measure_at_);
  if (check_) keep_earliest(out, check_->next);
  if (current() && current()->mtu.deadline() <= used_at_ + kMeasureEvery) {
    keep_earliest(out, current()->mtu.deadline());
  }
  return out;
}

}  // namespace godwit::overlay
