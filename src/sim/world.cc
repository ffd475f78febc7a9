#include "sim/world.h"

#include "base/assert.h"
#include "sim/host.h"
#include "sim/network.h"

#include <algorithm>
#include <utility>

namespace godwit::sim {
namespace {

constexpr std::uint64_t kFnvOffset = 0xCBF29CE484222325ULL;  // FNV-1a, 64 bits
constexpr std::uint64_t kFnvPrime = 0x100000001B3ULL;
// More rounds than this without time going by is a loop that waits for nothing.
constexpr int kBusyRounds = 100'000;

}  // namespace

World::World(std::uint64_t seed) : random_(seed), trace_hash_(kFnvOffset), network_(std::make_unique<Network>(*this)) {}

World::~World() {
  // What is left on the agenda may hold connections, and these the network.
  for (auto& each : hosts_) {
    while (!each->processes_.empty()) each->bury(*each->processes_.back());
  }
  agenda_.clear();
}

Host& World::add_host(const std::string& name, const std::string& site, const std::string& ip) {
  hosts_.push_back(std::make_unique<Host>(*this, name, site, ip));
  by_name_.emplace(name, hosts_.back().get());
  network_->add(*hosts_.back());
  return *hosts_.back();
}

Host& World::host(const std::string& name) {
  const auto found = by_name_.find(name);
  GODWIT_ASSERT(found != by_name_.end());
  return *found->second;
}

void World::at(TimePoint when, std::function<void()> what) {
  agenda_.emplace(std::max(when, now_), Event{std::move(what), false});
}

void World::at_quietly(TimePoint when, std::function<void()> what) {
  agenda_.emplace(std::max(when, now_), Event{std::move(what), true});
}

void World::touch_all() {
  if (!only_woken_) return;
  for (Process* each : processes_) each->touch();
}

void World::bury_doomed() {
  while (!doomed_.empty()) {
    Process* const dead = doomed_.front();
    doomed_.erase(doomed_.begin());
    dead->host().bury(*dead);
  }
}

// In the order of their birth, as all are polled where all are.
bool World::poll_woken() {
  auto woken = std::exchange(woken_, {});
  std::ranges::sort(woken, {}, &Process::birth_);
  bool any = false;
  for (Process* each : woken) {
    each->woken_ = false;
    if (!each->doomed_) any = each->poll() || any;
    each->list_deadline();
  }
  return any;
}

bool World::poll_once() {
  bury_doomed();
  if (only_woken_) {
    const bool any = poll_woken() || !doomed_.empty();
    bury_doomed();
    return any;
  }
  bool any = false;
  const auto living = processes_;  // some may be born meanwhile: they come next time
  for (Process* each : living) {
    if (!each->doomed_) any = each->poll() || any;
  }
  any = any || !doomed_.empty();
  bury_doomed();
  return any;
}

void World::poll_dry() {
  int rounds = 0;
  while (poll_once()) GODWIT_ASSERT(++rounds < kBusyRounds);
}

TimePoint World::next_deadline() const {
  TimePoint next = agenda_.empty() ? TimePoint::max() : agenda_.begin()->first;
  if (only_woken_) return deadlines_.empty() ? next : std::min(next, deadlines_.begin()->first.first);
  for (const Process* each : processes_) next = std::min(next, each->next_deadline());
  return next;
}

void World::jump(TimePoint to) {
  now_ = std::max(now_, to);
  while (!agenda_.empty() && agenda_.begin()->first <= now_) {
    const auto event = std::move(agenda_.begin()->second);
    agenda_.erase(agenda_.begin());
    event.what();
    if (!event.wakes_itself) touch_all();
  }
  if (only_woken_) {
    while (!deadlines_.empty() && deadlines_.begin()->first.first <= now_) {
      Process* const each = deadlines_.begin()->second;
      each->wake(now_);
      each->touch();
      each->list_deadline();
    }
    return;
  }
  const auto living = processes_;
  for (Process* each : living) each->wake(now_);
}

bool World::run_until(const std::function<bool()>& done, Nanos limit) {
  const TimePoint end = now_ + limit;
  touch_all();
  for (;;) {
    poll_dry();
    if (done()) return true;
    poll_dry();  // `done` may have touched something
    const TimePoint next = next_deadline();
    if (next > end) {
      now_ = end;
      return done();
    }
    jump(next);
  }
}

void World::run_for(Nanos span) {
  const bool stopped = run_until([] { return false; }, span);
  GODWIT_ASSERT(!stopped);
}

void World::trace(std::string line) {
  auto stamped = fmt::format("{:.6f} {}", to_s(now_.time_since_epoch()), line);
  for (const char c : stamped) trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(c)) * kFnvPrime;
  if (keep_trace_) trace_.push_back(std::move(stamped));
}

void World::keep_trace(bool keep, LogLevel level) {
  keep_trace_ = keep;
  trace_level_ = level;
}

}  // namespace godwit::sim
