// Machines whose network device has several pairs of queues, on whichever QEMU. A rig gives, beside what
// machine_suite.h asks for:
//   // Runs the guest of `spec`, of 2 vCPUs, up to where it has taken its network device.
//   sys::Task<Result<std::unique_ptr<hypervisor::Machine>>> boot(hypervisor::MachineSpec spec, std::vector<int> taps);
//   std::size_t queues_in_use(const hypervisor::Machine&, const std::string& tap);  // by its guest
#pragma once

#include "conformance/machine_suite.h"

#include <unistd.h>

namespace godwit::testing {

template <class Rig>
class QueuePairsSuite : public ::testing::Test {
 public:
  using Machine = hypervisor::Machine;

  static std::string tap_name() {
    static int number = 0;
    return fmt::format("gq{}-{}", ::getpid() % 1'000'000, ++number);
  }

  sys::Task<Result<std::unique_ptr<Machine>>> source(std::uint32_t pairs, std::string tap) {
    auto spec = rig.make(tap);
    spec.vcpus = 2;
    spec.queue_pairs = pairs;
    spec.mac = "02:67:00:00:00:0a";
    spec.mtu = 1500;
    spec.cmdline += " godwit.ip=none";
    auto taps = rig.runtime().taps.open_for_guest(tap, spec.mtu, pairs);
    if (!taps) co_return pass(taps);
    co_return co_await rig.boot(std::move(spec), std::move(*taps));
  }

  // A guest of `here` pairs, to a machine of `there`. Where that does not take it, it runs on where it was.
  sys::Task<void> move(std::uint32_t here, std::uint32_t there) {
    const auto from = tap_name();
    auto made = co_await source(here, from);
    GODWIT_CO_ASSERT_OK(made);
    Machine& source = **made;
    EXPECT_EQ(rig.queues_in_use(source, from), here);
    Attempt<Rig> attempt(rig, source);
    attempt.destination_tap = tap_name();
    attempt.destination_pairs = there;
    const auto begun = co_await attempt.begin();
    GODWIT_CO_ASSERT_OK(begun);
    auto loaded = co_await attempt.reach(Stage::completed);
    if (loaded) loaded = co_await attempt.destination->wait_loaded();
    EXPECT_EQ(loaded.has_value(), here == there) << (loaded ? "it was loaded" : loaded.error().message);
    if (loaded) {
      const auto finished = co_await attempt.destination->finish_disk();
      EXPECT_TRUE(finished) << finished.error().message;
      const auto started = co_await attempt.destination->start();
      EXPECT_TRUE(started) << started.error().message;
      EXPECT_EQ(rig.queues_in_use(*attempt.destination, attempt.destination_tap), there);
    }
    const bool stays = !loaded;
    co_await attempt.abandon();
    if (stays) {
      const auto resumed = co_await sys::within(rig.runtime().clock, Seconds{10}, "resume", source.resume());
      EXPECT_TRUE(resumed) << resumed.error().message;
      EXPECT_EQ(rig.queues_in_use(source, from), here);
    }
    co_await source.kill();
    co_await source.detach();
  }

  Rig rig;
};

TYPED_TEST_SUITE_P(QueuePairsSuite);

TYPED_TEST_P(QueuePairsSuite, AGuestOfTwoVcpusUsesTwoAndTakesThemAlong) {
  this->rig.run(this->move(2, 2));
  EXPECT_EQ(this->rig.problem(), "");
}

// As the program of before started it, whatever it has vCPUs.
TYPED_TEST_P(QueuePairsSuite, OneThatWasStartedWithOneKeepsOne) {
  this->rig.run(this->move(1, 1));
  EXPECT_EQ(this->rig.problem(), "");
}

TYPED_TEST_P(QueuePairsSuite, ADestinationOfAnotherNumberDoesNotLoadIt) {
  this->rig.run(this->move(2, 1));
  EXPECT_EQ(this->rig.problem(), "");
}

REGISTER_TYPED_TEST_SUITE_P(QueuePairsSuite, AGuestOfTwoVcpusUsesTwoAndTakesThemAlong, OneThatWasStartedWithOneKeepsOne,
                            ADestinationOfAnotherNumberDoesNotLoadIt);

}  // namespace godwit::testing
