// The control channel over the simulated WAN.
#include "migrate/control.h"

#include "sim/host.h"
#include "sim/network.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

// One end of a control channel as a process; what it hears is in `heard`.
class Party final : public sim::Program {
 public:
  Party(sim::Process& process, bool dials) : runtime_(process.runtime()), gate_(runtime_.executor) {
    runtime_.peers.trust({sim::authority("cloud-a", "cloud-a"), sim::authority("cloud-b", "cloud-b")});
    gate_.spawn(run(dials));
  }
  std::unique_ptr<Control> control;
  std::vector<FrameType> heard;
  std::optional<Error> ended;
  TimePoint ended_at;

 private:
  sys::Task<Result<std::unique_ptr<sys::PeerStream>>> connect(bool dials) {
    if (dials) {
      const sys::PeerAddress address{"10.2.0.1", 7402, "b1.cloud-b.godwit"};
      co_return co_await runtime_.peers.dial(address);
    }
    auto listener = runtime_.peers.listen("10.2.0.1", 7402);
    if (!listener) co_return pass(listener);
    co_return co_await (*listener)->accept();
  }
  sys::Task<void> run(bool dials) {
    auto stream = co_await connect(dials);
    if (!stream) co_return;
    control = std::make_unique<Control>(runtime_.executor, runtime_.clock, std::move(*stream));
    for (;;) {
      const auto frame = co_await control->receive();
      if (!frame) {
        ended = frame.error();
        ended_at = runtime_.clock.now();
        co_return;
      }
      heard.push_back(frame->type);
    }
  }

  sys::Runtime& runtime_;
  sys::Gate gate_;
};

class ControlChannel : public ::testing::Test {
 protected:
  ControlChannel() {
    auto& far = world_.add_host("b1", "site-b", "10.2.0.1").start("d", {"b1.cloud-b.godwit", "cloud-b"}, party(false));
    world_.run_for(Millis{1});
    auto& near = world_.add_host("a1", "site-a", "10.1.0.1").start("s", {"a1.cloud-a.godwit", "cloud-a"}, party(true));
    world_.run_for(Seconds{1});
    s_ = &dynamic_cast<Party&>(near.program());
    d_ = &dynamic_cast<Party&>(far.program());
  }
  static sim::Host::Factory party(bool dials) {
    return [dials](sim::Process& process) { return std::make_unique<Party>(process, dials); };
  }
  static Frame frame(FrameType type) {
    Frame frame;
    frame.type = type;
    return frame;
  }

  sim::World world_{1};
  Party* s_{nullptr};
  Party* d_{nullptr};
};

TEST_F(ControlChannel, FramesArriveInOrderAndTheKeepaliveIsNotHeard) {
  s_->control->send(frame(FrameType::disk_ready));
  s_->control->send(frame(FrameType::paused));
  d_->control->send(frame(FrameType::prepared));
  world_.run_for(Seconds{60});
  EXPECT_EQ(d_->heard, (std::vector{FrameType::disk_ready, FrameType::paused}));
  EXPECT_EQ(s_->heard, std::vector{FrameType::prepared});
  EXPECT_FALSE(s_->ended);
  EXPECT_NEAR(to_ms(s_->control->round_trip()), 40, 1);
}

TEST_F(ControlChannel, SilenceIsNoticedAfterFiveSeconds) {
  world_.run_for(Seconds{10});
  const auto cut_at = world_.now();
  world_.network().cut("site-a", "site-b");
  world_.run_for(Seconds{8});
  ASSERT_TRUE(s_->ended && d_->ended);
  EXPECT_EQ(s_->ended->code, Errc::timed_out);
  EXPECT_LE(to_s(s_->ended_at - cut_at), 5.1);
  EXPECT_GE(to_s(s_->ended_at - cut_at), 4.0);
}

TEST_F(ControlChannel, SilenceIsNoticedAfterTwoSecondsWhileTheGuestStandsStill) {
  s_->control->set_silence_limit(kPausedSilenceLimit);
  const auto cut_at = world_.now();
  world_.network().cut("site-a", "site-b");
  world_.run_for(Seconds{8});
  ASSERT_TRUE(s_->ended);
  EXPECT_LE(to_s(s_->ended_at - cut_at), 2.1);
}

TEST_F(ControlChannel, AShortCutIsSurvived) {
  world_.network().cut("site-a", "site-b");
  s_->control->send(frame(FrameType::paused));
  world_.run_for(Seconds{3});
  world_.network().heal("site-a", "site-b");
  world_.run_for(Seconds{1});
  EXPECT_EQ(d_->heard, std::vector{FrameType::paused});
  EXPECT_FALSE(s_->ended);
  EXPECT_FALSE(d_->ended);
}

TEST_F(ControlChannel, AFloodEndsIt) {
  for (std::size_t i = 0; i <= kControlQueue + 64; ++i) s_->control->send(frame(FrameType::progress));
  world_.run_for(Seconds{1});
  ASSERT_TRUE(s_->ended);
  EXPECT_EQ(s_->ended->code, Errc::exhausted);
}

}  // namespace
}  // namespace godwit::migrate
