// How hypervisor::Machine copies its disk while the guest runs, on whichever QEMU. The rig is machine_suite.h's.
#pragma once

#include "conformance/machine_suite.h"

namespace godwit::testing {

template <class Rig>
class SnapshotSuite : public MachineSuite<Rig> {
 public:
  // An empty overlay of the source's size, to which the source's uid may write.
  std::string target() {
    static int number = 0;
    return this->rig.make("copy-" + std::to_string(++number)).disk_path;
  }
};

TYPED_TEST_SUITE_P(SnapshotSuite);

TYPED_TEST_P(SnapshotSuite, TheDiskIsCopiedAndTheGuestRunsOn) {
  struct Told {
    static sys::Task<void> it(MachineSuite<TypeParam>* suite, hypervisor::Machine* source) {
      auto* t = static_cast<SnapshotSuite<TypeParam>*>(suite);
      const auto started = co_await source->start_snapshot(t->target());
      GODWIT_CO_ASSERT_OK(started);
      const auto second = co_await source->start_snapshot(t->target());
      EXPECT_EQ(second ? Errc{} : second.error().code, Errc::conflict) << "one at a time";
      const auto moved = co_await source->start_disk(hypervisor::nbd_socket_of(source->spec().directory), 0);
      EXPECT_EQ(moved ? Errc{} : moved.error().code, Errc::conflict) << "nothing moves meanwhile";
      const auto whole = co_await source->wait_snapshot();
      GODWIT_CO_ASSERT_OK(whole);
      const auto ended = co_await source->end_snapshot();
      GODWIT_CO_ASSERT_OK(ended);
      const auto again = co_await source->end_snapshot();
      EXPECT_TRUE(again);
      EXPECT_EQ(source->state(), hypervisor::MachineState::running);
    }
  };
  this->with_source(&Told::it);
}

TYPED_TEST_P(SnapshotSuite, AnotherAgentFindsNoCopyAndBeginsAnew) {
  struct Told {
    static sys::Task<void> it(MachineSuite<TypeParam>* suite, hypervisor::Machine* source) {
      auto* t = static_cast<SnapshotSuite<TypeParam>*>(suite);
      const auto started = co_await source->start_snapshot(t->target());
      GODWIT_CO_ASSERT_OK(started);
      const auto directory = source->spec().directory;
      co_await source->detach();
      const auto adopted = co_await hypervisor::Machine::adopt(t->rig.runtime(), directory);
      GODWIT_CO_ASSERT_OK(adopted);
      const auto lost = co_await (*adopted)->wait_snapshot();
      EXPECT_FALSE(lost);
      const auto anew = co_await (*adopted)->start_snapshot(t->target());
      EXPECT_TRUE(anew) << anew.error().message;
      const auto whole = co_await (*adopted)->wait_snapshot();
      EXPECT_TRUE(whole) << whole.error().message;
      const auto ended = co_await (*adopted)->end_snapshot();
      EXPECT_TRUE(ended);
      co_await (*adopted)->detach();
    }
  };
  this->with_source(&Told::it);
}

TYPED_TEST_P(SnapshotSuite, AFileThatIsNotThereIsSaidAndLeavesNothing) {
  struct Told {
    static sys::Task<void> it(MachineSuite<TypeParam>* suite, hypervisor::Machine* source) {
      auto* t = static_cast<SnapshotSuite<TypeParam>*>(suite);
      auto failed = co_await source->start_snapshot("/nowhere/copy.qcow2");
      if (failed) failed = co_await source->wait_snapshot();
      EXPECT_FALSE(failed);
      const auto ended = co_await source->end_snapshot();
      EXPECT_TRUE(ended);
      const auto anew = co_await source->start_snapshot(t->target());
      EXPECT_TRUE(anew) << anew.error().message;
      const auto given_up = co_await source->end_snapshot();
      EXPECT_TRUE(given_up) << given_up.error().message;
      EXPECT_EQ(source->state(), hypervisor::MachineState::running);
    }
  };
  this->with_source(&Told::it);
}

REGISTER_TYPED_TEST_SUITE_P(SnapshotSuite, TheDiskIsCopiedAndTheGuestRunsOn, AnotherAgentFindsNoCopyAndBeginsAnew,
                            AFileThatIsNotThereIsSaidAndLeavesNothing);

}  // namespace godwit::testing
