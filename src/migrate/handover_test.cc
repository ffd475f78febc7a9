#include "migrate/handover.h"

#include "migrate/handover_model.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <unordered_set>

namespace godwit::migrate {
namespace {

using model::Event;
using model::Fate;
using model::World;

constexpr TimePoint kStart{};

// Every fate of one event: whole, disk full, and a crash at every point of it.
std::vector<Fate> fates() {
  return {{Fate::whole, 0},       {Fate::disk_full, 0},   {Fate::crash_before_write, 0},
          {Fate::crash_after, 0}, {Fate::crash_after, 1}, {Fate::crash_after, 2}};
}

struct KeyHash {
  std::size_t operator()(const std::array<std::uint64_t, 2>& key) const {
    return key[0] * 0x9E3779B97F4A7C15ULL ^ (key[1] + 0x517CC1B727220A95ULL) * 0xD6E8FEB86659FD93ULL;
  }
};

// Walks all states that `possible` events lead to, and calls `check` once for each.
template <class Check>
std::size_t walk(const World& start, const std::vector<Event>& possible, Check check) {
  std::unordered_set<std::array<std::uint64_t, 2>, KeyHash> seen;
  std::deque<World> open{start};
  seen.insert(start.key());
  while (!open.empty()) {
    const World at = open.front();
    open.pop_front();
    check(at);
    if (testing::Test::HasFailure()) return seen.size();
    for (const auto& event : possible) {
      if (!event.possible(at)) continue;
      for (const auto fate : fates()) {
        World next = at;
        if (!model::happen(next, event, fate)) continue;
        if (seen.insert(next.key()).second) open.push_back(std::move(next));
      }
    }
  }
  return seen.size();
}

void expect_sound(const World& w) {
  ASSERT_FALSE(w.s_may_run() && w.d_may_run()) << w.describe();
  const auto final_of = [](const auto& agent) { return agent.disk ? agent.disk->decision : agent.forgot; };
  // A copy is deleted only where the other side has it, flushed and durably.
  if (w.s.qemu == model::Qemu::deleted) {
    ASSERT_EQ(final_of(w.d), Decision::released) << w.describe();
  }
  if (w.d.qemu == model::Qemu::deleted) {
    ASSERT_NE(final_of(w.d), Decision::released) << w.describe();
  }
}

// What must hold where everybody who lives has heard everybody else who lives.
void expect_one_owner(const World& healed, const World& before) {
  const auto say = [&] { return before.describe() + " healed to " + healed.describe(); };
  ASSERT_TRUE(healed.s_may_run() != healed.d_may_run()) << say();
  for (const auto& record : {healed.s.disk, healed.d.disk}) {
    if (!record) continue;
    ASSERT_NE(record->decision, Decision::none) << say();
    ASSERT_TRUE(record->carried_out) << say();
    ASSERT_TRUE(record->settled) << say();
  }
  const auto winner = healed.s_may_run() ? healed.s.qemu : healed.d.qemu;
  const auto loser = healed.s_may_run() ? healed.d.qemu : healed.s.qemu;
  ASSERT_EQ(loser, model::Qemu::deleted) << say();
  ASSERT_TRUE(winner == model::Qemu::running || winner == model::Qemu::resumed || winner == model::Qemu::dead) << say();
}

std::vector<Event> with_disasters() {
  std::vector<Event> all = model::events();
  all.insert(all.end(), model::disasters().begin(), model::disasters().end());
  return all;
}

TEST(Handover, InEveryReachableStateAtMostOneMayRunAndHealingLeavesExactlyOne) {
  const auto states = walk(World{}, model::events(), [](const World& w) {
    expect_sound(w);
    for (const bool cloud_up : {true, false}) {  // S and D agree without it
      World healed = w;
      healed.cloud_up = cloud_up;
      model::heal(healed);
      expect_sound(healed);
      expect_one_owner(healed, w);
    }
  });
  RecordProperty("states", static_cast<int>(states));
  EXPECT_GT(states, 50'000U);
}

TEST(Handover, LossOfAHostNeverMakesTwoOwnersAndTheOtherHostEndsDecided) {
  walk(World{}, with_disasters(), [](const World& w) {
    expect_sound(w);
    World healed = w;
    model::heal(healed);
    expect_sound(healed);
    if (w.s.destroyed && healed.d.disk) {
      // D hears from the source's cloud, which answers whatever happened.
      ASSERT_NE(healed.d.disk->decision, Decision::none) << w.describe();
    }
    if (w.d.destroyed && healed.s.disk && healed.s.disk->decision == Decision::none) {
      ASSERT_EQ(healed.s.disk->vote, Vote::released) << w.describe();  // in doubt: only a person can tell
      ASSERT_FALSE(healed.s_may_run()) << w.describe();
      auto step = healed.s.machine->fenced(healed.now, Decision::aborted);
      ASSERT_TRUE(step.write && step.write->fenced && step.write->decision == Decision::aborted);
      ASSERT_EQ(step.acts.front(), Act::run);
    }
  });
}

// One random life: a trace of what happened.
std::string live(std::uint64_t seed, int events_limit) {
  std::mt19937_64 random(seed);
  const auto draw = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  const auto all = model::events();
  World w;
  std::string trace;
  for (int i = 0; i < events_limit; ++i) {
    const auto& event = all[draw(all.size())];
    const auto fate = draw(20) == 0 ? fates()[draw(6)] : Fate{};
    World next = w;
    if (!event.possible(w) || !model::happen(next, event, fate)) continue;
    w = next;
    trace += fmt::format("{} {} {}\n", event.name, static_cast<int>(fate.kind), fate.acts);
    expect_sound(w);
  }
  World healed = w;
  model::heal(healed);
  expect_one_owner(healed, w);
  return trace + healed.describe();
}

TEST(Handover, TenThousandRandomLivesEndWithOneOwnerAndEqualSeedsLiveEqually) {
  for (std::uint64_t seed = 1; seed <= 10'000 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    const auto trace = live(seed, 120);
    if (seed % 100 == 0) {
      ASSERT_EQ(trace, live(seed, 120));
    }
  }
}

// ---- stories

TEST(Handover, TheNormalCourse) {
  SourceHandover s;
  DestinationHandover d;
  auto step = d.prepared(kStart);
  EXPECT_EQ(step.write->vote, Vote::prepared);
  EXPECT_EQ(step.acts, std::vector{Act::say_prepared});

  EXPECT_FALSE(s.heard(kStart, Saying::prepared).write);  // QEMU has not said "completed" yet
  step = s.drained(kStart);
  EXPECT_EQ(step.write->vote, Vote::released);
  EXPECT_EQ(step.acts, std::vector{Act::ask_cloud});  // first its own cloud, then D
  step = s.cloud_voted(kStart, vote_of_cloud(Decision::none, Decision::released));
  EXPECT_EQ(step.acts, std::vector{Act::say_released});

  step = d.heard(kStart, Saying::released);
  EXPECT_EQ(step.write->decision, Decision::released);
  EXPECT_EQ(step.acts, std::vector{Act::run});
  EXPECT_EQ(d.carried_out(kStart).acts, std::vector{Act::say_owned});

  step = s.heard(kStart, Saying::owned);
  EXPECT_EQ(step.acts, std::vector{Act::discard});
  EXPECT_EQ(s.carried_out(kStart).acts, std::vector{Act::say_settled});
  EXPECT_EQ(d.heard(kStart, Saying::settled).acts, std::vector{Act::say_settled});
  EXPECT_TRUE(s.heard(kStart, Saying::settled).write->settled);
  EXPECT_FALSE(s.next_deadline());
  EXPECT_FALSE(d.next_deadline());
}

TEST(Handover, ACloudThatDoesNotAnswerDelaysTheHandoverByOneSecond) {
  SourceHandover s;
  EXPECT_FALSE(s.heard(kStart, Saying::prepared).write);
  EXPECT_TRUE(s.drained(kStart).write);
  EXPECT_EQ(s.next_deadline(), kStart + kCloudPatience);
  EXPECT_TRUE(s.poll(kStart + kCloudPatience - Nanos{1}).acts.empty());
  EXPECT_EQ(s.poll(kStart + kCloudPatience).acts, (std::vector{Act::ask_cloud, Act::say_released}));
}

TEST(Handover, TheCloudVotesOnce) {
  EXPECT_EQ(vote_of_cloud(Decision::none, Decision::released), Decision::released);
  EXPECT_EQ(vote_of_cloud(Decision::none, Decision::aborted), Decision::aborted);
  EXPECT_EQ(vote_of_cloud(Decision::released, Decision::aborted), Decision::released);
  EXPECT_EQ(vote_of_cloud(Decision::aborted, Decision::released), Decision::aborted);
}

TEST(Handover, RepetitionBacksOffFrom100MsTo5S) {
  SourceHandover s{Ballot{.vote = Vote::released}};
  TimePoint now = kStart;
  EXPECT_TRUE(s.restore(now).acts.empty());
  std::vector<double> waits;
  for (int i = 0; i < 9; ++i) {
    EXPECT_FALSE(s.poll(now).acts.empty());
    waits.push_back(to_ms(*s.next_deadline() - now));
    now = *s.next_deadline();
  }
  EXPECT_EQ(waits, (std::vector<double>{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000}));
}

TEST(Handover, AFenceAgainstASourceThatHasNotVotedIsNotObeyed) {
  SourceHandover s;
  EXPECT_FALSE(s.fenced(kStart, Decision::released).write);
  EXPECT_EQ(s.ballot(), Ballot{});
}

TEST(Handover, AFenceThatWasWrongIsSeenAndUndoesNothing) {
  SourceHandover s{Ballot{.vote = Vote::released}};
  EXPECT_EQ(s.fenced(kStart, Decision::aborted).write->decision, Decision::aborted);
  EXPECT_EQ(s.heard(kStart, Saying::owned).acts, std::vector{Act::say_abort});
  EXPECT_TRUE(s.known().disputed);
  DestinationHandover d{Ballot{.vote = Vote::released, .decision = Decision::released, .carried_out = true}};
  EXPECT_EQ(d.heard(kStart, Saying::abort).acts, std::vector{Act::say_owned});
  EXPECT_TRUE(d.known().disputed);
}

}  // namespace
}  // namespace godwit::migrate
