// Instances that this host's agent has, while several want to work on one.
#include "agent/instances.h"

#include "sim/qemu.h"

#include <gtest/gtest.h>

namespace godwit::agent {
namespace {

const std::string kWeb = "i-0123456789abcdef0";

class Bare final : public sim::Program {};

class InstancesTest : public ::testing::Test {
 protected:
  InstancesTest() { sim::install_qemu(host_, guests_, {}); }
  ~InstancesTest() override { run(instances_.stop()); }

  void run(sys::Task<void> task) {
    bool ended = false;
    auto whole = [](sys::Task<void> each, bool& over) -> sys::Task<void> {
      co_await std::move(each);
      over = true;
    };
    process_.spawn(whole(std::move(task), ended));
    EXPECT_TRUE(world_.run_until([&] { return ended; }, Seconds{60}));
  }

  sim::Guests guests_;
  sim::World world_{1};
  sim::Host& host_{world_.add_host("a1", "site-a", "10.1.0.1")};
  sim::Process& process_{
      host_.start("agent", {"a1.cloud-a.godwit", "cloud-a"}, [](sim::Process&) { return std::make_unique<Bare>(); })};
  sys::Runtime& runtime_{process_.runtime()};
  AgentConfig config_{[] {
    AgentConfig config;
    config.state_directory = "/state";
    return config;
  }()};
  Records records_{runtime_.files, config_.state_directory};
  Images images_{runtime_, config_, [] {}, [](const std::string&) {}};
  InstanceContext context_{
      runtime_, records_, images_, {}, {}, "/state/instances", [](const std::string&) { return 1400U; }, [] {}};
  Instances instances_{context_, 200'000};
};

// A migration has waited for a snapshot of it until its patience ended.
TEST_F(InstancesTest, OneThatSomebodyHasWaitedForInVainIsForgottenWhenItIsDeleted) {
  InstanceRecord record;
  record.spec.id = kWeb;
  instances_.restore({record});
  auto& instance = *instances_.find(kWeb);
  instance.set_desired(wire::DesiredInstanceState::stopped, migrate::Standing::may_run);
  world_.run_for(Seconds{1});
  auto story = [](sys::Runtime& runtime, Instance& web) -> sys::Task<void> {
    const auto held = co_await web.hold_disk();
    EXPECT_TRUE(held) << (held ? "" : held.error().message);
    auto adopting = web.adopt();
    const auto adopted = co_await sys::within(runtime.clock, Seconds{1}, "adopt", std::move(adopting));
    EXPECT_EQ(adopted ? Errc{} : adopted.error().code, Errc::timed_out);
  };
  run(story(runtime_, instance));
  EXPECT_FALSE(instance.gone());
  instance.set_desired(wire::DesiredInstanceState::absent, migrate::Standing::may_run);
  world_.run_for(Seconds{1});
  EXPECT_TRUE(instance.gone());
  instances_.drop_gone();
  EXPECT_TRUE(instances_.all().empty()) << "it could never come back to this host";
}

}  // namespace
}  // namespace godwit::agent
