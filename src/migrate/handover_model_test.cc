// The model's own code, see handover_model.h. (Named _test so that it is built into the test program.)
#include "migrate/handover_model.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit::migrate::model {
namespace {

bool alive(const World& w, bool source) { return source ? w.s.machine.has_value() : w.d.machine.has_value(); }

bool at_source(const World& w, Qemu state) { return w.s.machine && w.s.qemu == state; }

template <Saying kSaying>
Event heard_by_s(const char* name) {
  return {Sort::message, name, [](const World& w) { return w.s.machine && w.s.inbox.has(kSaying); },
          [](World& w) { return w.s.machine->heard(w.now, kSaying); }, true};
}
template <Saying kSaying>
Event heard_by_d(const char* name) {
  return {Sort::message, name, [](const World& w) { return w.d.machine && w.d.inbox.has(kSaying); },
          [](World& w) { return w.d.machine->heard(w.now, kSaying); }, false};
}
template <Decision kVote>
Event told_s(const char* name) {
  return {Sort::message, name, [](const World& w) { return w.s.machine && w.s.cloud_answers.has(kVote); },
          [](World& w) { return w.s.machine->cloud_voted(w.now, kVote); }, true};
}
template <Decision kVote>
Event told_d(const char* name) {
  return {Sort::message, name, [](const World& w) { return w.d.machine && w.d.cloud_answers.has(kVote); },
          [](World& w) { return w.d.machine->cloud_voted(w.now, kVote); }, false};
}

Step nothing() { return {}; }

template <class Machine>
bool may_forget(const Agent<Machine>& agent) {
  return agent.machine && agent.disk && agent.disk->settled && agent.disk->carried_out;
}
template <class Machine>
void forget(Agent<Machine>& agent) {
  agent.forgot = agent.disk->decision;
  agent.machine.reset();
  agent.disk.reset();
}

// S connects; a D without a record says that it knows nothing.
Step connect_s(World& w) {
  if (!w.d.disk && !w.d.destroyed) w.s.inbox.add(Saying::unknown);
  return w.s.machine->connected(w.now);
}

std::vector<Event> make_events() {
  return {
      {Sort::chance, "S: QEMU pauses",
       [](const World& w) { return w.s.qemu == Qemu::running && w.s.disk && w.s.disk->vote == Vote::none; },
       [](World& w) {
         w.s.qemu = Qemu::paused;
         return nothing();
       },
       true},
      {Sort::chance, "S: QEMU fails and resumes by itself", [](const World& w) { return w.s.qemu == Qemu::paused; },
       [](World& w) {
         w.s.qemu = Qemu::resumed;
         return nothing();
       },
       true},
      {Sort::chance, "S: QEMU completes", [](const World& w) { return w.s.qemu == Qemu::paused; },
       [](World& w) {
         w.s.qemu = Qemu::completed;
         return nothing();
       },
       true},
      {Sort::chance, "S: QEMU dies", [](const World& w) { return w.s.qemu != Qemu::dead && w.s.qemu != Qemu::deleted; },
       [](World& w) {
         w.s.qemu = Qemu::dead;
         return nothing();
       },
       true},
      {Sort::chance, "D: QEMU loads",
       [](const World& w) {
         return w.d.qemu == Qemu::incoming && (w.s.qemu == Qemu::paused || w.s.qemu == Qemu::completed);
       },
       [](World& w) {
         w.d.qemu = Qemu::loaded;
         return nothing();
       },
       false},
      {Sort::chance, "D: QEMU dies", [](const World& w) { return w.d.qemu != Qemu::dead && w.d.qemu != Qemu::deleted; },
       [](World& w) {
         w.d.qemu = Qemu::dead;
         return nothing();
       },
       false},

      {Sort::message, "S: drained", [](const World& w) { return at_source(w, Qemu::completed); },
       [](World& w) { return w.s.machine->drained(w.now); }, true},
      {Sort::message, "S: gives up", [](const World& w) { return alive(w, true); },
       [](World& w) { return w.s.machine->abort(w.now); }, true},
      {Sort::message, "S: connected", [](const World& w) { return alive(w, true); }, connect_s, true},
      {Sort::timer, "S: timer", [](const World& w) { return w.s.machine && w.s.machine->next_deadline(); },
       [](World& w) {
         w.now = std::max(w.now, *w.s.machine->next_deadline());
         return w.s.machine->poll(w.now);
       },
       true},
      {Sort::message, "S: has carried it out", [](const World& w) { return w.s.machine && w.s.acted; },
       [](World& w) {
         w.s.acted = false;
         return w.s.machine->carried_out(w.now);
       },
       true},
      {Sort::message, "S: restarts", [](const World& w) { return !w.s.machine && w.s.disk && !w.s.destroyed; },
       [](World& w) {
         w.s.machine.emplace(*w.s.disk);
         return w.s.machine->restore(w.now);
       },
       true},
      {Sort::chance, "S: forgets", [](const World& w) { return may_forget(w.s); },
       [](World& w) {
         forget(w.s);
         return nothing();
       },
       true},

      {Sort::message, "D: prepared", [](const World& w) { return w.d.machine && w.d.qemu == Qemu::loaded; },
       [](World& w) { return w.d.machine->prepared(w.now); }, false},
      {Sort::chance, "D: gives up", [](const World& w) { return w.d.machine && w.d.disk; },
       [](World& w) { return w.d.machine->abort(w.now); }, false},
      {Sort::message, "D: connected", [](const World& w) { return w.d.machine && w.d.disk; },
       [](World& w) { return w.d.machine->connected(w.now); }, false},
      {Sort::chance, "D: disconnected", [](const World& w) { return w.d.machine && w.d.disk; },
       [](World& w) { return w.d.machine->disconnected(w.now); }, false},
      {Sort::timer, "D: timer", [](const World& w) { return w.d.machine && w.d.machine->next_deadline(); },
       [](World& w) {
         w.now = std::max(w.now, *w.d.machine->next_deadline());
         return w.d.machine->poll(w.now);
       },
       false},
      {Sort::message, "D: has carried it out", [](const World& w) { return w.d.machine && w.d.acted; },
       [](World& w) {
         w.d.acted = false;
         return w.d.machine->carried_out(w.now);
       },
       false},
      {Sort::message, "D: restarts", [](const World& w) { return !w.d.machine && w.d.disk && !w.d.destroyed; },
       [](World& w) {
         w.d.machine.emplace(*w.d.disk);
         return w.d.machine->restore(w.now);
       },
       false},
      {Sort::chance, "D: forgets", [](const World& w) { return may_forget(w.d); },
       [](World& w) {
         forget(w.d);
         return nothing();
       },
       false},

      {Sort::message, "C: hears S's release", [](const World& w) { return w.cloud_up && w.s.asked_cloud; },
       [](World& w) {
         w.cloud = vote_of_cloud(w.cloud, Decision::released);
         w.s.cloud_answers.add(w.cloud);
         return nothing();
       },
       true},
      {Sort::message, "C: is asked by D", [](const World& w) { return w.cloud_up && w.d.asked_cloud; },
       [](World& w) {
         w.cloud = vote_of_cloud(w.cloud, Decision::aborted);
         w.d.cloud_answers.add(w.cloud);
         return nothing();
       },
       false},
      {Sort::message, "C: hears that S has aborted",
       [](const World& w) { return w.cloud_up && w.s.machine && w.s.disk && w.s.disk->vote == Vote::aborted; },
       [](World& w) {
         w.cloud = vote_of_cloud(w.cloud, Decision::aborted);
         return nothing();
       },
       true},
      {Sort::message, "C: shows S its vote",
       [](const World& w) { return w.cloud_up && w.s.machine && w.cloud != Decision::none; },
       [](World& w) { return w.s.machine->cloud_voted(w.now, w.cloud); }, true},
      told_s<Decision::released>("S: C has released"),
      told_s<Decision::aborted>("S: C has aborted"),
      told_d<Decision::released>("D: C has released"),
      told_d<Decision::aborted>("D: C has aborted"),

      heard_by_s<Saying::prepared>("S: D is prepared"),
      heard_by_s<Saying::owned>("S: D owns"),
      heard_by_s<Saying::abort>("S: D has aborted"),
      heard_by_s<Saying::settled>("S: D has settled"),
      heard_by_s<Saying::unknown>("S: D knows nothing"),
      heard_by_d<Saying::released>("D: S has released"),
      heard_by_d<Saying::abort>("D: S has aborted"),
      heard_by_d<Saying::settled>("D: S has settled"),
  };
}

void destroy_s(World& w) {
  w.s.machine.reset();
  w.s.qemu = Qemu::dead;
  w.s.destroyed = true;
}
void destroy_d(World& w) {
  w.d.machine.reset();
  w.d.qemu = Qemu::dead;
  w.d.destroyed = true;
}

template <class Machine>
bool act(Agent<Machine>& self, Sent<Saying>& peer, Act each, bool source) {
  switch (each) {
    case Act::ask_cloud: self.asked_cloud = true; return true;
    case Act::say_prepared: peer.add(Saying::prepared); return true;
    case Act::say_released: peer.add(Saying::released); return true;
    case Act::say_owned: peer.add(Saying::owned); return true;
    case Act::say_abort: peer.add(Saying::abort); return true;
    case Act::say_settled: peer.add(Saying::settled); return true;
    case Act::run:
      if (self.qemu != Qemu::dead) {
        GODWIT_ASSERT(self.qemu != Qemu::deleted);
        GODWIT_ASSERT(source || self.qemu == Qemu::loaded || self.qemu == Qemu::running);
        self.qemu = source ? Qemu::resumed : Qemu::running;
      }
      self.acted = true;
      return true;
    case Act::discard:
      self.qemu = Qemu::deleted;
      self.acted = true;
      return true;
  }
  return false;
}

template <class Machine>
void crash(Agent<Machine>& self) {
  self.machine.reset();
  self.asked_cloud = false;
  self.acted = false;
  self.cloud_answers.clear();
}

template <class Machine>
bool perform(World& world, Agent<Machine>& self, Sent<Saying>& peer, Step step, Fate fate, bool source) {
  if (!self.machine) return fate.kind == Fate::whole;  // the event took the process away itself
  if (fate.kind == Fate::crash_before_write || fate.kind == Fate::disk_full) {
    if (!step.write) return false;
    if (fate.kind == Fate::crash_before_write) {
      crash(self);
      return true;
    }
    step = self.machine->write_failed(world.now);
    GODWIT_ASSERT(!step.write);
  } else if (fate.kind == Fate::crash_after && (fate.acts >= step.acts.size() + 1 || (!step.write && fate.acts == 0))) {
    return false;
  }
  if (step.write) self.disk = step.write;
  for (std::size_t i = 0; i < step.acts.size(); ++i) {
    if (fate.kind == Fate::crash_after && i == fate.acts) break;
    act(self, peer, step.acts[i], source);
  }
  if (fate.kind == Fate::crash_after) crash(self);
  return true;
}

}  // namespace

const std::vector<Event>& events() {
  static const std::vector<Event> all = make_events();
  return all;
}

const std::vector<Event>& disasters() {
  static const std::vector<Event> all{
      {Sort::chance, "S's host is destroyed", [](const World& w) { return !w.s.destroyed && !w.d.destroyed; },
       [](World& w) {
         destroy_s(w);
         return nothing();
       },
       true},
      {Sort::chance, "D's host is destroyed", [](const World& w) { return !w.d.destroyed && !w.s.destroyed; },
       [](World& w) {
         destroy_d(w);
         return nothing();
       },
       false},
      {Sort::chance, "a person gives it to S", [](const World& w) { return w.s.machine && w.d.destroyed; },
       [](World& w) { return w.s.machine->fenced(w.now, Decision::aborted); }, true},
      {Sort::chance, "a person gives it to D", [](const World& w) { return w.d.machine && w.d.disk && w.s.destroyed; },
       [](World& w) { return w.d.machine->fenced(w.now, Decision::released); }, false},
  };
  return all;
}

bool happen(World& world, const Event& event, Fate fate) {
  Step step = event.step(world);
  if (event.of_source) return perform(world, world.s, world.d.inbox, std::move(step), fate, true);
  return perform(world, world.d, world.s.inbox, std::move(step), fate, false);
}

bool World::s_may_run() const {
  if (s.destroyed) return false;
  if (s.qemu == Qemu::running || s.qemu == Qemu::paused || s.qemu == Qemu::resumed) return true;
  if (!s.disk) return s.forgot == Decision::aborted;
  return s.disk->vote == Vote::none || s.disk->decision == Decision::aborted;
}

bool World::d_may_run() const {
  if (d.destroyed) return false;
  return d.qemu == Qemu::running || (d.disk ? d.disk->vote : Vote::none) == Vote::released ||
         d.forgot == Decision::released;
}

void heal(World& world) {
  constexpr int kRounds = 6;  // no exchange needs more
  for (int round = 0; round < kRounds; ++round) {
    for (const auto sort : {Sort::message, Sort::timer}) {
      for (const auto& each : events()) {
        if (each.sort == sort && each.possible(world)) happen(world, each, Fate{});
      }
    }
    if (world.s.destroyed && world.d.machine) {
      Step step = world.d.machine->disconnected(world.now);
      perform(world, world.d, world.s.inbox, std::move(step), Fate{}, false);
    }
  }
}

std::string World::describe() const {
  const auto ballot = [](const std::optional<Ballot>& b) {
    if (!b) return std::string("no record");
    return fmt::format("{}{}{}{}{}", boost::describe::enum_to_string(b->vote, "?"),
                       b->decision == Decision::none      ? ""
                       : b->decision == Decision::aborted ? " =aborted"
                                                          : " =released",
                       b->fenced ? " fenced" : "", b->carried_out ? " done" : "", b->settled ? " settled" : "");
  };
  const auto cloud_vote = boost::describe::enum_to_string(cloud, "?");
  return fmt::format("S[{}; qemu {}; {}] D[{}; qemu {}; {}] C[{}]", ballot(s.disk), static_cast<int>(s.qemu),
                     s.machine ? "up" : "down", ballot(d.disk), static_cast<int>(d.qemu), d.machine ? "up" : "down",
                     cloud_vote);
}

namespace {

class Packer {
 public:
  void put(unsigned value, unsigned bits) {
    GODWIT_ASSERT(value < (1U << bits));
    GODWIT_ASSERT(used_ + bits <= 128);
    for (unsigned i = 0; i < bits; ++i, ++used_) {
      words[used_ / 64] |= static_cast<std::uint64_t>((value >> i) & 1U) << (used_ % 64);
    }
  }
  void put(const Ballot& b) {
    put(static_cast<unsigned>(b.vote), 2);
    put(static_cast<unsigned>(b.decision), 2);
    put((b.fenced ? 1U : 0U) | (b.carried_out ? 2U : 0U) | (b.settled ? 4U : 0U), 3);
  }
  template <class Machine>
  void put(const Agent<Machine>& agent) {
    put(agent.disk ? 1U : 0U, 1);
    put(agent.disk.value_or(Ballot{}));
    put(agent.machine ? 1U : 0U, 1);
    put(agent.machine ? agent.machine->ballot() : Ballot{});
    put(agent.machine && agent.machine->next_deadline() ? 1U : 0U, 1);
    put(static_cast<unsigned>(agent.qemu), 3);
    put(agent.inbox.bits(), 6);
    put(agent.cloud_answers.bits(), 3);
    put((agent.asked_cloud ? 1U : 0U) | (agent.acted ? 2U : 0U) | (agent.destroyed ? 4U : 0U), 3);
    put(static_cast<unsigned>(agent.forgot), 2);
  }
  std::array<std::uint64_t, 2> words{};

 private:
  unsigned used_{0};
};

}  // namespace

std::array<std::uint64_t, 2> World::key() const {
  Packer packer;
  packer.put(s);
  packer.put(d);
  packer.put(static_cast<unsigned>(cloud), 2);
  packer.put(cloud_up ? 1U : 0U, 1);
  const auto known = s.machine ? s.machine->known() : SourceHandover::Known{};
  packer.put((known.drained ? 1U : 0U) | (known.peer_prepared ? 2U : 0U) | (known.told_peer ? 4U : 0U) |
                 (known.done ? 8U : 0U) | (known.disputed ? 16U : 0U),
             5);
  packer.put(static_cast<unsigned>(known.cloud), 2);
  const auto also = d.machine ? d.machine->known() : DestinationHandover::Known{};
  packer.put((also.done ? 1U : 0U) | (also.disputed ? 2U : 0U), 2);
  return packer.words;
}

}  // namespace godwit::migrate::model
