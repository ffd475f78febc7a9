// What hypervisor::Machine does, on whichever QEMU. A rig gives:
//   struct Rig {
//     void run(sys::Task<void>);                        // to its end
//     sys::Runtime& runtime();
//     hypervisor::MachineSpec make(std::string name);   // a new directory with an overlay that has some data
//     sys::Task<Result<std::unique_ptr<hypervisor::Machine>>> source();  // running; of an earlier test, maybe
//     void hang(const hypervisor::Machine&);            // alive, but deaf
//     void kill(const hypervisor::Machine&);            // from outside
//     void allow_post_copy(bool);                       // as vm.unprivileged_userfaultfd does; until the rig's end
//     std::string problem();                            // what an observer of everything has to say; empty: all is
//     well static constexpr bool patient;                    // virtual time: long limits cost nothing
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Real, MachineSuite, RealRig);
#pragma once

#include "hypervisor/machine.h"
#include "support/event_loop.h"
#include "support/pump.h"

#include <gtest/gtest.h>

#include <optional>

namespace godwit::testing {

// How far a migration has come.
enum class Stage : std::uint8_t { mirroring, following, sending, paused, disk_ended, completed };
inline const char* name_of(Stage stage) {
  static constexpr const char* kNames[] = {"mirroring", "following", "sending", "paused", "disk ended", "completed"};
  return kNames[static_cast<int>(stage)];
}
inline constexpr Stage kStages[] = {Stage::mirroring, Stage::following,  Stage::sending,
                                    Stage::paused,    Stage::disk_ended, Stage::completed};

// One attempt: a source that may have seen others, a destination of its own, and the agent between them.
template <class Rig>
class Attempt {
 public:
  using Machine = hypervisor::Machine;

  Attempt(Rig& rig, Machine& source) : rig_(rig), source_(&source) {}

  sys::Task<Result<>> begin(hypervisor::Launch how = hypervisor::Launch::incoming) {
    static int number = 0;
    auto target = rig_.make("destination-" + std::to_string(++number));
    target.vcpus = source_->spec().vcpus;
    std::vector<int> taps;
    if (!destination_tap.empty()) {
      target.queue_pairs = destination_pairs;
      target.mac = source_->spec().mac;
      target.mtu = source_->spec().mtu;
      auto opened = rig_.runtime().taps.open_for_guest(destination_tap, target.mtu, destination_pairs);
      if (!opened) co_return pass(opened);
      taps = std::move(*opened);
    }
    const hypervisor::QemuProgram qemu;
    auto launched = co_await Machine::launch(rig_.runtime(), qemu, target, how, std::move(taps));
    if (!launched) co_return pass(launched);
    destination = std::move(*launched);
    const auto& at = source_->spec();
    auto disk_pump = Pump::open(rig_.runtime(), hypervisor::nbd_socket_of(at.directory),
                                hypervisor::nbd_socket_of(target.directory), at.uid);
    auto memory_pump = Pump::open(rig_.runtime(), hypervisor::memory_socket_of(at.directory),
                                  hypervisor::memory_socket_of(target.directory), at.uid);
    if (!disk_pump) co_return pass(disk_pump);
    if (!memory_pump) co_return pass(memory_pump);
    disk = std::move(*disk_pump);
    memory = std::move(*memory_pump);
    co_return Result<>{};
  }

  // Goes from where it is to `wanted`; `stay`: and is slow in that stage if it can be.
  sys::Task<Result<>> reach(Stage wanted, bool stay = true) {
    while (!reached_ || *reached_ < wanted) {
      const auto next = reached_ ? static_cast<Stage>(static_cast<int>(*reached_) + 1) : Stage::mirroring;
      const auto done = co_await step(next, stay && next == wanted);
      if (!done) co_return done;
      if (next == Stage::sending) co_await memory->joined();  // QEMU dials after its answer
      reached_ = next;
      rig_.runtime().log.debug("reached: {}", name_of(next));
    }
    co_return Result<>{};
  }

  // What the agent does before it resumes the source.
  sys::Task<void> abandon() {
    co_await disk->close();
    co_await memory->close();
    co_await destination->kill();
    co_await destination->detach();
  }

  void carry_on(Machine& adopted) { source_ = &adopted; }

  std::string destination_tap;  // empty: it has no network device
  std::uint32_t destination_pairs{1};
  std::unique_ptr<Machine> destination;
  std::unique_ptr<Pump> disk;
  std::unique_ptr<Pump> memory;

 private:
  sys::Task<Result<>> step(Stage next, bool stay) {
    constexpr std::uint64_t kSlow = 256UL * 1024;       // bytes a second
    constexpr std::uint64_t kSlowDisk = 1024UL * 1024;  // QEMU looks at a lost target at the next of its 1 MiB parts
    const auto& directory = source_->spec().directory;
    switch (next) {
      case Stage::mirroring: return source_->start_disk(hypervisor::nbd_socket_of(directory), stay ? kSlowDisk : 0);
      case Stage::following: return source_->wait_disk_ready();
      case Stage::sending: {
        hypervisor::MemoryOptions options;
        if (stay) options.max_bytes_per_s = kSlow;
        return source_->start_memory(hypervisor::memory_socket_of(directory), options);
      }
      case Stage::paused: return source_->wait_paused();
      case Stage::disk_ended: return source_->end_disk();
      case Stage::completed: return source_->continue_switchover();
    }
    return source_->resume();
  }

  Rig& rig_;
  Machine* source_;
  std::optional<Stage> reached_;
};

template <class Rig>
class MachineSuite : public ::testing::Test {
 public:
  using Machine = hypervisor::Machine;
  using MachineState = hypervisor::MachineState;
  using Story = sys::Task<void> (*)(MachineSuite*, Machine*);

  // The source is let go of at the end, not killed.
  void with_source(Story story) {
    auto whole = [](MachineSuite* t, Story told) -> sys::Task<void> {
      auto source = co_await t->rig.source();
      GODWIT_CO_ASSERT_OK(source);
      co_await told(t, source->get());
      co_await (*source)->detach();
    };
    rig.run(whole(this, story));
    EXPECT_EQ(rig.problem(), "");
  }

  // Within ten seconds the vCPUs run again, as the machine says and as QEMU does.
  sys::Task<void> expect_resumed(Machine* source) {
    const auto resumed = co_await sys::within(rig.runtime().clock, Seconds{10}, "resume", source->resume());
    GODWIT_CO_ASSERT_OK(resumed);
    EXPECT_EQ(source->state(), MachineState::running);
  }

  // A whole migration up to the destination's start, which is left out; the source has it back in the end.
  sys::Task<void> expect_migratable(Machine* source) {
    Attempt<Rig> attempt(rig, *source);
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    const auto done = co_await attempt.reach(Stage::completed);
    EXPECT_TRUE(done) << done.error().message;
    if (done) {
      const auto loaded = co_await attempt.destination->wait_loaded();
      EXPECT_TRUE(loaded) << loaded.error().message;
      EXPECT_EQ(source->state(), MachineState::paused);
    }
    co_await attempt.abandon();
    co_await expect_resumed(source);
  }

  // Waits until `source` has the state.
  sys::Task<bool> becomes(Machine* machine, MachineState wanted, Nanos limit) {
    const auto deadline = rig.runtime().clock.now() + limit;
    while (machine->state() != wanted && rig.runtime().clock.now() < deadline) {
      co_await rig.runtime().clock.sleep_for(Millis{10});
    }
    co_return machine->state() == wanted;
  }

  Rig rig;
};

TYPED_TEST_SUITE_P(MachineSuite);

TYPED_TEST_P(MachineSuite, FromEveryStageTheSourceResumesAndCanMigrateAgain) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    for (const Stage stage : kStages) {
      Attempt<TypeParam> attempt(t->rig, *source);
      const auto begun = co_await attempt.begin();
      GODWIT_CO_ASSERT_OK(begun);
      const auto reached = co_await attempt.reach(stage);
      EXPECT_TRUE(reached) << name_of(stage) << ": " << reached.error().message;
      const bool stands = stage >= Stage::paused;
      EXPECT_EQ(source->state(), stands ? hypervisor::MachineState::paused : hypervisor::MachineState::running);
      co_await attempt.abandon();
      co_await t->expect_resumed(source);
      co_await t->expect_resumed(source);
    }
    co_await t->expect_migratable(source);
  });
}

TYPED_TEST_P(MachineSuite, AnotherAgentResumesFromEveryStage) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* first) -> sys::Task<void> {
    co_await first->detach();
    for (const Stage stage : kStages) {
      auto source = co_await hypervisor::Machine::adopt(t->rig.runtime(), first->spec().directory);
      GODWIT_CO_ASSERT_OK(source);
      Attempt<TypeParam> attempt(t->rig, **source);
      const auto begun = co_await attempt.begin();
      GODWIT_CO_ASSERT_OK(begun);
      const auto reached = co_await attempt.reach(stage);
      EXPECT_TRUE(reached) << name_of(stage) << ": " << reached.error().message;
      co_await (*source)->detach();
      co_await attempt.abandon();
      auto adopted = co_await hypervisor::Machine::adopt(t->rig.runtime(), first->spec().directory);
      GODWIT_CO_ASSERT_OK(adopted);
      co_await t->expect_resumed(adopted->get());
      co_await (*adopted)->detach();
    }
  });
}

TYPED_TEST_P(MachineSuite, ANewAgentAtEachStageCarriesOnToTheEnd) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* first) -> sys::Task<void> {
    Attempt<TypeParam> attempt(t->rig, *first);
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    co_await first->detach();
    for (const Stage stage : kStages) {
      auto source = co_await hypervisor::Machine::adopt(t->rig.runtime(), first->spec().directory);
      GODWIT_CO_ASSERT_OK(source);
      attempt.carry_on(**source);
      const auto reached = co_await attempt.reach(stage, false);
      EXPECT_TRUE(reached) << name_of(stage) << ": " << reached.error().message;
      co_await (*source)->detach();
    }
    const auto loaded = co_await attempt.destination->wait_loaded();
    EXPECT_TRUE(loaded) << loaded.error().message;
    co_await attempt.abandon();
    auto source = co_await hypervisor::Machine::adopt(t->rig.runtime(), first->spec().directory);
    GODWIT_CO_ASSERT_OK(source);
    co_await t->expect_resumed(source->get());
    co_await (*source)->detach();
  });
}

// The memory's connection is cut, in each stage in which there is one.
TYPED_TEST_P(MachineSuite, ACutMemoryConnectionFailsTheMigrationAndNothingElse) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    for (const Stage stage : {Stage::sending, Stage::paused, Stage::disk_ended}) {
      Attempt<TypeParam> attempt(t->rig, *source);
      const auto begun = co_await attempt.begin();
      GODWIT_CO_ASSERT_OK(begun);
      const auto reached = co_await attempt.reach(stage);
      EXPECT_TRUE(reached) << name_of(stage) << ": " << reached.error().message;
      attempt.memory->cut();
      const auto on = co_await attempt.reach(Stage::completed);
      EXPECT_FALSE(on) << name_of(stage);
      const auto loaded = co_await attempt.destination->wait_loaded();
      EXPECT_FALSE(loaded) << name_of(stage);
      const bool dead = co_await t->becomes(attempt.destination.get(), hypervisor::MachineState::dead, Seconds{5});
      EXPECT_TRUE(dead) << name_of(stage);
      EXPECT_NE(attempt.destination->problem().find("load of migration failed"), std::string::npos)
          << attempt.destination->problem();
      co_await attempt.abandon();
      co_await t->expect_resumed(source);
    }
    co_await t->expect_migratable(source);
  });
}

// Quiet after migrate-continue: deaf until our end is closed, then it runs again by itself.
TYPED_TEST_P(MachineSuite, AQuietMemoryConnectionHoldsTheSwitchoverUntilItIsClosed) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    const auto reached = co_await attempt.reach(Stage::disk_ended);
    EXPECT_TRUE(reached) << reached.error().message;
    attempt.memory->stall();
    const auto sent =
        co_await sys::within(t->rig.runtime().clock, Millis{500}, "send", attempt.reach(Stage::completed));
    EXPECT_FALSE(sent);
    attempt.memory->cut();
    const bool runs = co_await t->becomes(source, hypervisor::MachineState::running, Seconds{5});
    EXPECT_TRUE(runs);
    co_await attempt.abandon();
    co_await t->expect_resumed(source);
    co_await t->expect_migratable(source);
  });
}

// Its answer is lost: the destination has all, and yet the source runs again. The destination's word gives no right.
TYPED_TEST_P(MachineSuite, TheDestinationMayBeCompleteThoughTheSourceFails) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    const auto reached = co_await attempt.reach(Stage::disk_ended);
    EXPECT_TRUE(reached) << reached.error().message;
    attempt.memory->stall(Pump::Way::back);
    const auto sent =
        co_await sys::within(t->rig.runtime().clock, Millis{1500}, "send", attempt.reach(Stage::completed));
    EXPECT_FALSE(sent);
    const auto loaded = co_await attempt.destination->wait_loaded();
    EXPECT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(attempt.destination->state(), hypervisor::MachineState::paused);
    attempt.memory->cut();
    const bool runs = co_await t->becomes(source, hypervisor::MachineState::running, Seconds{5});
    EXPECT_TRUE(runs);
    co_await attempt.abandon();
    co_await t->expect_resumed(source);
  });
}

// The flush at the pause waits for the destination's disk.
TYPED_TEST_P(MachineSuite, AQuietDiskAtThePauseHoldsTheSourceUntilItIsClosed) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    const auto reached = co_await attempt.reach(Stage::following);
    EXPECT_TRUE(reached) << reached.error().message;
    attempt.disk->stall();
    const auto paused =
        co_await sys::within(t->rig.runtime().clock, Millis{1500}, "pause", attempt.reach(Stage::paused));
    EXPECT_FALSE(paused);
    attempt.disk->cut();
    co_await attempt.abandon();
    co_await t->expect_resumed(source);
    co_await t->expect_migratable(source);
  });
}

TYPED_TEST_P(MachineSuite, AMirrorThatLosesItsTargetIsAnErrorHoweverItEnds) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    for (const Stage stage : {Stage::mirroring, Stage::paused}) {
      Attempt<TypeParam> attempt(t->rig, *source);
      const auto begun = co_await attempt.begin();
      GODWIT_CO_ASSERT_OK(begun);
      const auto reached = co_await attempt.reach(stage);
      EXPECT_TRUE(reached) << name_of(stage) << ": " << reached.error().message;
      if (stage == Stage::mirroring) {
        const auto early = co_await source->end_disk();
        GODWIT_CO_ASSERT(!early);
        EXPECT_EQ(early.error().code, Errc::conflict) << early.error().message;
        attempt.disk->cut();
      } else {
        // The server ends, with its client connected.
        const auto stopped = co_await attempt.destination->finish_disk();
        EXPECT_TRUE(stopped) << stopped.error().message;
      }
      const auto on = co_await attempt.reach(stage == Stage::mirroring ? Stage::following : Stage::disk_ended);
      GODWIT_CO_ASSERT(!on);
      EXPECT_EQ(on.error().code, Errc::io) << on.error().message;
      EXPECT_NE(on.error().message.find("Input/output error"), std::string::npos) << on.error().message;
      co_await attempt.abandon();
      co_await t->expect_resumed(source);
    }
  });
}

TYPED_TEST_P(MachineSuite, AGuestThatWritesMoreOftenThanARoundTripTakesMovesAllTheSame) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    attempt.disk->delay(Millis{3});
    const auto moved =
        co_await sys::within(t->rig.runtime().clock, Seconds{60}, "move", attempt.reach(Stage::completed, false));
    EXPECT_TRUE(moved) << moved.error().message;
    co_await attempt.abandon();
    co_await t->expect_resumed(source);
  });
}

TYPED_TEST_P(MachineSuite, ADestinationThatIsKilledCostsTheAttemptOnly) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    for (const Stage stage : {Stage::sending, Stage::paused}) {
      Attempt<TypeParam> attempt(t->rig, *source);
      const auto begun = co_await attempt.begin();
      GODWIT_CO_ASSERT_OK(begun);
      const auto reached = co_await attempt.reach(stage);
      EXPECT_TRUE(reached) << name_of(stage) << ": " << reached.error().message;
      co_await attempt.destination->kill();
      EXPECT_EQ(attempt.destination->state(), hypervisor::MachineState::dead);
      const auto on = co_await attempt.reach(Stage::completed);
      EXPECT_FALSE(on);
      co_await attempt.abandon();
      co_await t->expect_resumed(source);
    }
  });
}

// "cont" at the wrong moment would make it run by itself later: it is never sent.
TYPED_TEST_P(MachineSuite, AMachineIsNotStartedBeforeItsMemoryIsLoaded) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    const auto early = co_await attempt.destination->start();
    GODWIT_CO_ASSERT(!early);
    EXPECT_EQ(early.error().code, Errc::conflict);
    const auto done = co_await attempt.reach(Stage::completed);
    EXPECT_TRUE(done) << done.error().message;
    const auto loaded = co_await attempt.destination->wait_loaded();
    EXPECT_TRUE(loaded) << loaded.error().message;
    co_await t->rig.runtime().clock.sleep_for(Millis{50});
    EXPECT_EQ(attempt.destination->state(), hypervisor::MachineState::paused);
    co_await attempt.abandon();
    co_await t->expect_resumed(source);
  });
}

TYPED_TEST_P(MachineSuite, ADiskThatAnotherMachineHasIsAClearError) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    auto other = t->rig.make("locked-out");
    other.disk_path = source->spec().disk_path;
    const hypervisor::QemuProgram qemu;
    const auto launched = co_await hypervisor::Machine::launch(t->rig.runtime(), qemu, other, hypervisor::Launch::cold);
    GODWIT_CO_ASSERT(!launched);
    EXPECT_EQ(launched.error().code, Errc::io);
    EXPECT_NE(launched.error().message.find("another process using the image"), std::string::npos)
        << launched.error().message;
    EXPECT_EQ(source->state(), hypervisor::MachineState::running);
    EXPECT_FALSE(t->rig.runtime().files.exists(other.directory + ".json"));
  });
}

// Last, as it costs the source: whole, with the destination's start; then a monitor that hangs.
TYPED_TEST_P(MachineSuite, ItMovesWithItsDiskAndRunsThereAlone) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    EXPECT_EQ(attempt.destination->state(), hypervisor::MachineState::incoming);
    const auto done = co_await attempt.reach(Stage::completed);
    EXPECT_TRUE(done) << done.error().message;
    const auto loaded = co_await attempt.destination->wait_loaded();
    EXPECT_TRUE(loaded) << loaded.error().message;
    const auto finished = co_await attempt.destination->finish_disk();
    EXPECT_TRUE(finished) << finished.error().message;
    EXPECT_EQ(source->state(), hypervisor::MachineState::paused);
    const auto started = co_await attempt.destination->start();
    EXPECT_TRUE(started) << started.error().message;
    const auto again = co_await attempt.destination->start();
    EXPECT_TRUE(again) << again.error().message;
    EXPECT_EQ(attempt.destination->state(), hypervisor::MachineState::running);
    co_await source->kill();
    EXPECT_EQ(source->state(), hypervisor::MachineState::dead);
    co_await t->rig.runtime().clock.sleep_for(Millis{50});
    EXPECT_EQ(attempt.destination->state(), hypervisor::MachineState::running);

    t->rig.hang(*attempt.destination);
    const auto status = co_await attempt.destination->migration_status();
    GODWIT_CO_ASSERT(!status);
    EXPECT_EQ(status.error().code, Errc::timed_out);
    EXPECT_EQ(attempt.destination->state(), hypervisor::MachineState::hung);
    EXPECT_NE(attempt.destination->problem(), "");
    if constexpr (TypeParam::patient) {
      const auto directory = attempt.destination->spec().directory;
      co_await attempt.destination->detach();
      const auto adopted = co_await hypervisor::Machine::adopt(t->rig.runtime(), directory);
      GODWIT_CO_ASSERT(!adopted);
      EXPECT_EQ(adopted.error().code, Errc::timed_out) << adopted.error().message;
      t->rig.kill(*attempt.destination);
      co_await attempt.disk->close();
      co_await attempt.memory->close();
    } else {
      co_await attempt.abandon();
    }
  });
}

TYPED_TEST_P(MachineSuite, ASourceThatIsKilledEndsItsDestination) {
  this->with_source([](MachineSuite<TypeParam>* t, hypervisor::Machine* source) -> sys::Task<void> {
    Attempt<TypeParam> attempt(t->rig, *source);
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    const auto reached = co_await attempt.reach(Stage::paused);
    EXPECT_TRUE(reached) << reached.error().message;
    co_await source->kill();
    const auto on = co_await attempt.reach(Stage::disk_ended);
    GODWIT_CO_ASSERT(!on);
    EXPECT_EQ(on.error().code, Errc::unavailable) << on.error().message;
    const auto loaded = co_await attempt.destination->wait_loaded();
    EXPECT_FALSE(loaded);
    const bool dead = co_await t->becomes(attempt.destination.get(), hypervisor::MachineState::dead, Seconds{5});
    EXPECT_TRUE(dead);
    co_await attempt.abandon();
    const auto resumed = co_await source->resume();
    GODWIT_CO_ASSERT(!resumed);
    EXPECT_EQ(resumed.error().code, Errc::unavailable) << resumed.error().message;
  });
}

REGISTER_TYPED_TEST_SUITE_P(
    MachineSuite, FromEveryStageTheSourceResumesAndCanMigrateAgain, AnotherAgentResumesFromEveryStage,
    ANewAgentAtEachStageCarriesOnToTheEnd, ACutMemoryConnectionFailsTheMigrationAndNothingElse,
    AQuietMemoryConnectionHoldsTheSwitchoverUntilItIsClosed, TheDestinationMayBeCompleteThoughTheSourceFails,
    AQuietDiskAtThePauseHoldsTheSourceUntilItIsClosed, AMirrorThatLosesItsTargetIsAnErrorHoweverItEnds,
    AGuestThatWritesMoreOftenThanARoundTripTakesMovesAllTheSame, ADestinationThatIsKilledCostsTheAttemptOnly,
    AMachineIsNotStartedBeforeItsMemoryIsLoaded, ADiskThatAnotherMachineHasIsAClearError,
    ItMovesWithItsDiskAndRunsThereAlone, ASourceThatIsKilledEndsItsDestination);

}  // namespace godwit::testing
