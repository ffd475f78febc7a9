// What hypervisor::Machine does by post-copy, on whichever QEMU. The rig is machine_suite.h's.
#pragma once

#include "conformance/machine_suite.h"

namespace godwit::testing {

template <class Rig>
class PostCopySuite : public MachineSuite<Rig> {
 public:
  // Slow enough that no first round ends before it is told to, and fast enough that what is left comes in a few
  // seconds.
  static constexpr std::uint64_t kRate = 16UL * 1024 * 1024;
  static constexpr std::uint64_t kCrawl = 256UL * 1024;

  void with_allowed_source(typename MachineSuite<Rig>::Story story) {
    this->rig.allow_post_copy(true);
    this->with_source(story);
  }

  // Until then the source takes a cancel.
  sys::Task<void> notices_cut(hypervisor::Machine* source) {
    for (int i = 0; i < 1000; ++i) {
      const auto now = co_await source->migration_status();
      GODWIT_CO_ASSERT_OK(now);
      if (now->status == "postcopy-paused") co_return;
      co_await this->rig.runtime().clock.sleep_for(Millis{10});
    }
    ADD_FAILURE() << "the source has not noticed that it is cut off";
  }

  // To where QEMU at the source has given its devices away, and the destination has loaded them.
  sys::Task<Result<>> hand_over(Attempt<Rig>* attempt, hypervisor::Machine* source, std::uint64_t bytes_per_s) {
    auto done = co_await attempt->begin(hypervisor::Launch::incoming_post_copy);
    if (!done) co_return done;
    EXPECT_EQ(attempt->destination->post_copy_problem(), "");
    done = co_await attempt->reach(Stage::following, false);
    if (!done) co_return done;
    hypervisor::MemoryOptions options;
    options.max_bytes_per_s = bytes_per_s;
    options.post_copy = true;
    done = co_await source->start_memory(hypervisor::memory_socket_of(source->spec().directory), options);
    if (!done) co_return done;
    co_await attempt->memory->joined();
    done = co_await source->start_post_copy();
    if (!done) co_return done;
    done = co_await source->wait_paused();
    if (!done) co_return done;
    done = co_await source->end_disk();
    if (!done) co_return done;
    done = co_await source->continue_switchover();
    if (!done) co_return done;
    co_return co_await attempt->destination->wait_loaded();
  }
};

TYPED_TEST_SUITE_P(PostCopySuite);

TYPED_TEST_P(PostCopySuite, WhereItIsForbiddenQemuSaysSoAndTakesTheMemoryBefore) {
  this->rig.allow_post_copy(false);
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto begun = co_await attempt.begin(hypervisor::Launch::incoming_post_copy);
    GODWIT_CO_ASSERT_OK(begun);
    const auto problem = attempt.destination->post_copy_problem();
    EXPECT_NE(problem.find("Postcopy is not supported"), std::string::npos) << problem;
    const auto done = co_await attempt.reach(Stage::completed);
    EXPECT_TRUE(done) << done.error().message;
    const auto whole = co_await attempt.destination->wait_whole();
    EXPECT_TRUE(whole) << whole.error().message;
    co_await attempt.abandon();
    co_await t->expect_resumed(source);
  });
}

// Nothing has run at the destination yet: the source still has all of it.
TYPED_TEST_P(PostCopySuite, UntilItIsCutTheSourceCanHaveItBack) {
  this->with_allowed_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    auto* self = static_cast<PostCopySuite<TypeParam>*>(t);
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto handed = co_await self->hand_over(&attempt, source, self->kCrawl);
    EXPECT_TRUE(handed) << handed.error().message;
    EXPECT_EQ(source->state(), hypervisor::MachineState::paused);
    EXPECT_EQ(attempt.destination->state(), hypervisor::MachineState::paused);
    co_await t->expect_resumed(source);
    const auto whole = co_await attempt.destination->wait_whole();
    EXPECT_FALSE(whole);
    co_await attempt.abandon();
    co_await t->expect_migratable(source);
  });
}

TYPED_TEST_P(PostCopySuite, ItRunsThereBeforeAllOfItIsThere) {
  this->with_allowed_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    auto* self = static_cast<PostCopySuite<TypeParam>*>(t);
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto handed = co_await self->hand_over(&attempt, source, self->kRate);
    EXPECT_TRUE(handed) << handed.error().message;
    auto* destination = attempt.destination.get();
    const auto finished = co_await destination->finish_disk();
    EXPECT_TRUE(finished) << finished.error().message;
    EXPECT_EQ(destination->state(), hypervisor::MachineState::paused);
    const auto started = co_await destination->start();
    EXPECT_TRUE(started) << started.error().message;
    const auto whole = co_await sys::within(t->rig.runtime().clock, Seconds{50}, "rest", destination->wait_whole());
    EXPECT_TRUE(whole) << whole.error().message;
    const auto after = co_await source->migration_status();
    EXPECT_TRUE(after && after->status == "completed");
    EXPECT_EQ(source->state(), hypervisor::MachineState::paused);
    co_await source->kill();
    co_await t->rig.runtime().clock.sleep_for(Millis{50});
    EXPECT_EQ(destination->state(), hypervisor::MachineState::running);
    co_await attempt.abandon();
  });
}

// The source's QEMU has what is missing and can't be told to go on: neither has a memory that is of use.
TYPED_TEST_P(PostCopySuite, OnceItIsCutItsMemoryIsLost) {
  this->with_allowed_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    auto* self = static_cast<PostCopySuite<TypeParam>*>(t);
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto handed = co_await self->hand_over(&attempt, source, self->kCrawl);
    EXPECT_TRUE(handed) << handed.error().message;
    attempt.memory->cut();
    const auto whole = co_await attempt.destination->wait_whole();
    EXPECT_FALSE(whole);
    EXPECT_NE(source->state(), hypervisor::MachineState::running);
    co_await self->notices_cut(source);
    const auto resumed = co_await source->resume();
    GODWIT_CO_ASSERT(!resumed);
    EXPECT_EQ(resumed.error().code, Errc::unavailable) << resumed.error().message;
    EXPECT_EQ(source->state(), hypervisor::MachineState::dead);
    co_await attempt.abandon();
  });
}

REGISTER_TYPED_TEST_SUITE_P(PostCopySuite, WhereItIsForbiddenQemuSaysSoAndTakesTheMemoryBefore,
                            UntilItIsCutTheSourceCanHaveItBack, ItRunsThereBeforeAllOfItIsThere,
                            OnceItIsCutItsMemoryIsLost);

}  // namespace godwit::testing
