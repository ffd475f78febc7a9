#include "overlay/test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kStart{Seconds{1000}};

// Three hosts with a guest each on one network; an underlay with a fixed delay in which hosts can be unplugged.
class SwitchTest : public ::testing::Test {
 protected:
  SwitchTest() {
    for (unsigned each = 1; each <= 3; ++each) {
      hosts.emplace(each, std::make_unique<TestHost>(each, each));
      EXPECT_TRUE(host(each).configure(now, network, {{each - 1, 1}}));
    }
    run_for(Millis{500});  // the round trips get measured
  }

  TestHost& host(unsigned number) { return *hosts.at(number); }

  void collect() {
    for (auto& [number, each] : hosts) {
      for (auto& datagram : std::exchange(each->sent, {})) {
        if (!unplugged.contains(number)) in_flight.push_back({now + one_way, std::move(datagram)});
      }
      for (const auto& done : each->core().take_announced()) announced[done.ticket] = {now, done};
    }
  }

  void run_until(TimePoint end) {
    for (;;) {
      collect();
      auto next = end;
      if (!in_flight.empty()) next = std::min(next, in_flight.front().first);
      for (const auto& [number, each] : hosts) next = std::min(next, each->core().next_deadline().value_or(end));
      now = std::max(now, next);
      while (!in_flight.empty() && in_flight.front().first <= now) {
        const auto datagram = std::move(in_flight.front().second);
        in_flight.pop_front();
        for (auto& [number, each] : hosts) {
          if (datagram.to == host_address(number) && !unplugged.contains(number)) {
            each->from_underlay(now, datagram.from, datagram.bytes);
          }
        }
      }
      for (auto& [number, each] : hosts) each->poll(now);
      collect();
      if (now >= end) return;
    }
  }
  void run_for(Nanos span) { run_until(now + span); }

  Result<> announce(unsigned where, unsigned guest, std::uint64_t version, std::uint64_t ticket) {
    return host(where).announce(now, guest, version, ticket);
  }
  wire::Location believed(unsigned by, unsigned guest) {
    return host(by).core().networks().at(0).members.at(guest).location;
  }

  const wire::Network network = network_of({1, 2, 3, 1});  // guest 3 stays on host 1, without saying a word
  TimePoint now = kStart;
  Millis one_way{20};
  std::map<unsigned, std::unique_ptr<TestHost>> hosts;
  std::set<unsigned> unplugged;
  std::deque<std::pair<TimePoint, Datagram>> in_flight;
  std::map<std::uint64_t, std::pair<TimePoint, Announced>> announced;
};

TEST_F(SwitchTest, RoundTripAndLossOfEachPeerAreMeasured) {
  const auto seen = [this](const std::string& name) {
    const auto peers = host(1).core().observe(now).peers;
    return *std::ranges::find(peers, name, &wire::PeerStatus::host);
  };
  run_for(Seconds{60});
  EXPECT_DOUBLE_EQ(seen("h2").round_trip_ms.value(), 40);
  EXPECT_EQ(seen("h2").loss, 0.0);
  unplugged.insert(2);
  run_for(Seconds{60});
  EXPECT_GT(seen("h2").loss.value(), 0.8);
  EXPECT_EQ(seen("h3").loss, 0.0);
  unplugged.clear();
  run_for(Seconds{240});
  EXPECT_LT(seen("h2").loss.value(), 0.01);
}

// Guest 0 moves from host 1 to host 3.
class MoveTest : public SwitchTest {
 protected:
  MoveTest() {
    EXPECT_TRUE(host(3).configure(now, network, {{2, 1}, {0, 0}}));
    run_for(Millis{100});
  }
};

TEST_F(MoveTest, AllPeersAcknowledgeWithinOneRoundTrip) {
  const auto began = now;
  ASSERT_TRUE(announce(3, 0, 2, 77));
  run_for(Millis{60});
  ASSERT_TRUE(announced.contains(77));
  const auto& [at, done] = announced.at(77);
  EXPECT_EQ(done.acknowledged, 2U);
  EXPECT_EQ(done.peers, 2U);
  EXPECT_EQ(at - began, 2 * one_way);
  for (unsigned each = 1; each <= 3; ++each) EXPECT_EQ(believed(each, 0).host, "h3");
}

TEST_F(MoveTest, OneDeadPeerDelaysTheStartByOneRoundTripAndTenMillisecondsAtMost) {
  unplugged.insert(2);
  const auto began = now;
  ASSERT_TRUE(announce(3, 0, 2, 77));
  run_for(Millis{200});
  const auto& [at, done] = announced.at(77);
  EXPECT_EQ(done.acknowledged, 1U);
  EXPECT_LE(at - began, 2 * one_way + kAnnounceSlack);
  // It is told as soon as it can hear again.
  unplugged.clear();
  run_for(Seconds{2});
  EXPECT_EQ(believed(2, 0).host, "h3");
}

TEST_F(MoveTest, APeerWhoseDistanceIsUnknownDelaysTheStartByAHundredMillisecondsAtMost) {
  TestHost fresh(4, 4);
  const auto four = network_of({1, 2, 3});
  ASSERT_TRUE(fresh.configure(now, four, {{0, 0}}));
  ASSERT_TRUE(fresh.core().announce(now, {kNetworkId, instance_id(0), 2}, 5));
  fresh.poll(now);
  EXPECT_EQ(fresh.core().take_announced().size(), 0U);
  fresh.poll(now + Millis{99});
  EXPECT_EQ(fresh.core().take_announced().size(), 0U);
  fresh.poll(now + Millis{100});
  const auto done = fresh.core().take_announced();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].acknowledged, 0U);
  EXPECT_EQ(done[0].peers, 3U);
}

TEST_F(MoveTest, WithoutPeersTheAnswerIsImmediate) {
  TestHost alone(1, 1);
  ASSERT_TRUE(alone.configure(now, network_of({0}), {{0, 0}}));
  ASSERT_TRUE(alone.core().announce(now, {kNetworkId, instance_id(0), 1}, 5));
  EXPECT_EQ(alone.core().take_announced().size(), 1U);
}

TEST_F(MoveTest, TheOldHostForwardsStraysAndCorrectsTheirSenderButDeliversNoMore) {
  ASSERT_TRUE(announce(3, 0, 2, 77));
  host(3).poll(now);
  for (auto& datagram : std::exchange(host(3).sent, {})) {  // only the old host hears of it
    if (datagram.to == host_address(1)) host(1).from_underlay(now, datagram.from, datagram.bytes);
  }
  host(1).sent.clear();
  host(1).delivered.clear();
  const auto frame = guest_frame(1, 0, "sent to where it was");
  host(2).from_guest(now, 1, frame);
  ASSERT_EQ(host(2).sent.size(), 1U);
  EXPECT_EQ(host(2).sent[0].to, host_address(1));
  run_for(Millis{100});
  EXPECT_TRUE(host(1).delivered.empty());
  ASSERT_EQ(host(3).delivered.size(), 1U);
  EXPECT_EQ(host(3).delivered[0].frame, frame);
  EXPECT_EQ(believed(2, 0).host, "h3");
  // Its own port is closed at once.
  host(1).from_guest(now, 0, guest_frame(0, 1, "a ghost"));
  EXPECT_TRUE(host(1).sent.empty());
}

TEST_F(MoveTest, StraysAreForwardedForABoundedTime) {
  ASSERT_TRUE(announce(3, 0, 2, 77));
  run_for(kForwardStrays + Seconds{1});
  host(1).sent.clear();
  const auto late = guest_frame(1, 0, "much too late");
  host(1).record(now, 2, {RecordKind::frame, 0, kVni, late.size(), {}}, late);
  EXPECT_EQ(host(1).drops(Drop::stray), 1U);
  for (const auto& each : host(1).sent) EXPECT_EQ(each.to, host_address(2));  // the correction
}

TEST_F(MoveTest, AHigherVersionWinsOverALateLowerOne) {
  ASSERT_TRUE(announce(3, 0, 2, 77));
  host(3).poll(now);
  const auto first = std::exchange(host(3).sent, {});
  ASSERT_TRUE(host(2).configure(now, network, {{1, 1}, {0, 0}}));
  run_for(Millis{100});
  ASSERT_TRUE(announce(2, 0, 3, 78));  // and on to host 2
  run_for(Millis{100});
  for (const auto& datagram : first) {  // the network delivers the first announcement once more
    if (datagram.to == host_address(1)) host(1).from_underlay(now, datagram.from, datagram.bytes);
  }
  EXPECT_EQ(believed(1, 0).version, 3U);
  EXPECT_EQ(believed(1, 0).host, "h2");
  // A configuration that was written before the move does not undo it.
  ASSERT_TRUE(host(1).configure(now, network, {{0, 1}}));
  EXPECT_EQ(believed(1, 0).host, "h2");
  host(1).from_guest(now, 0, guest_frame(0, 1, "a ghost"));
  for (const auto& each : host(1).sent) EXPECT_FALSE(carries_a_frame(each));
}

TEST_F(MoveTest, AClaimThatIsNoNewsIsRefusedUnlessItIsOurs) {
  ASSERT_TRUE(announce(3, 0, 2, 77));
  EXPECT_TRUE(announce(3, 0, 2, 78));  // said twice
  run_for(Millis{100});
  EXPECT_TRUE(announced.contains(78));
  EXPECT_EQ(announce(1, 0, 2, 79).error().code, Errc::conflict);
  EXPECT_EQ(announce(1, 0, 1, 79).error().code, Errc::conflict);
  EXPECT_EQ(announce(3, 1, 9, 79).error().code, Errc::not_found);
  EXPECT_EQ(announce(3, 9, 9, 79).error().code, Errc::not_found);
}

TEST_F(MoveTest, APortWithAHigherVersionInTheConfigurationIsAClaimToo) {
  ASSERT_TRUE(host(3).configure(now, network, {{2, 1}, {0, 2}}));
  run_for(Millis{100});
  for (unsigned each = 1; each <= 3; ++each) EXPECT_EQ(believed(each, 0).host, "h3");
}

TEST_F(MoveTest, ALocationThatComesBeforeItsMemberIsKept) {
  auto grown = network_of({1, 2, 3, 1, 1});
  ASSERT_TRUE(host(1).configure(now, grown, {{0, 1}, {4, 1}}));
  ASSERT_TRUE(announce(1, 4, 2, 77));
  run_for(Millis{100});
  EXPECT_EQ(announced.at(77).second.acknowledged, 2U);
  ASSERT_TRUE(host(2).configure(now, grown, {{1, 1}}));
  EXPECT_EQ(believed(2, 4).version, 2U);
}

TEST_F(MoveTest, AForgedAnnouncementMovesNothing) {
  crypto::MacKey wrong(ByteVector(32, std::byte{1}));
  const auto forged = encode_control(kVni, {1, Announce{instance_id(0), location_at(2, 99)}}, wrong);
  host(1).record(now, 2, {RecordKind::control, 0, kVni, forged.size(), {}}, forged);
  EXPECT_EQ(believed(1, 0).version, 1U);
  EXPECT_EQ(host(1).drops(Drop::not_authentic), 1U);
}

// Guest 0 stands still on host 1, and goes on at host 3.
class HoldTest : public MoveTest {
 protected:
  HoldTest() {
    EXPECT_TRUE(host(1).core().hold(now, name));
    host(1).delivered.clear();
  }
  void send(unsigned count) {
    for (unsigned i = 0; i < count; ++i) host(2).from_guest(now, 1, guest_frame(1, 0, fmt::format("{:08}", i)));
    run_for(Millis{100});
  }
  static std::vector<std::string> texts(const TestHost& of) {
    std::vector<std::string> out;
    for (const auto& each : of.delivered) out.emplace_back(as_text(ByteView(each.frame).last(8)));
    return out;
  }

  const wire::SwitchHold name{kNetworkId, instance_id(0)};
};

TEST_F(HoldTest, FramesForOneThatStandsStillFollowItInOrder) {
  send(3);
  EXPECT_TRUE(host(1).delivered.empty());
  ASSERT_TRUE(announce(3, 0, 2, 77));
  run_for(Millis{100});
  EXPECT_TRUE(host(1).delivered.empty());
  EXPECT_EQ(texts(host(3)), (std::vector<std::string>{"00000000", "00000001", "00000002"}));
}

TEST_F(HoldTest, WhenTheMoveIsGivenUpItsGuestGetsThem) {
  send(2);
  ASSERT_TRUE(host(1).core().release(now, name));
  run_for(Millis{1});
  EXPECT_EQ(texts(host(1)), (std::vector<std::string>{"00000000", "00000001"}));
  host(1).delivered.clear();
  send(1);
  EXPECT_EQ(host(1).delivered.size(), 1U);
}

TEST_F(HoldTest, WhenWhoeverWantedItIsGoneItEndsByItself) {
  send(2);
  run_for(kHoldLimit);
  EXPECT_EQ(texts(host(1)).size(), 2U);
}

TEST_F(HoldTest, NoMoreThanTheLimitIsKept) {
  send(kHeldFrames + 10);
  EXPECT_EQ(host(1).drops(Drop::held_too_many), 10U);
  ASSERT_TRUE(announce(3, 0, 2, 77));
  run_for(Millis{100});
  EXPECT_EQ(host(3).delivered.size(), kHeldFrames);
}

TEST_F(HoldTest, OnlyWhatIsHereCanBeHeld) {
  EXPECT_EQ(host(2).core().hold(now, name).error().code, Errc::not_found);
  EXPECT_EQ(host(1).core().hold(now, {kNetworkId, instance_id(99)}).error().code, Errc::not_found);
}

TEST_F(SwitchTest, ARestartedSwitchBeginsWithWhatItsPredecessorKnew) {
  ASSERT_TRUE(host(3).configure(now, network, {{2, 1}, {0, 0}}));
  ASSERT_TRUE(announce(3, 0, 2, 77));
  run_for(Millis{100});
  SeededRandom random(9);
  ClearSeal seal(host_key(3));
  Switch again(host_address(3), random, seal, [] { return kWallNow; });
  const auto state = wire::decode<wire::SwitchConfig>(wire::encode(host(3).core().state()));
  ASSERT_TRUE(state);
  ASSERT_TRUE(again.configure(now, *state));
  again.attach({kNetworkId, instance_id(0)}, 1);
  EXPECT_EQ(again.networks().at(0).members.at(0).location, believed(3, 0));
  EXPECT_TRUE(again.segments().find(kVni)->find_port(instance_id(0))->active());
}

TEST_F(SwitchTest, ARefusedConfigurationChangesNothingAndSaysWhy) {
  const auto before = wire::encode(host(1).core().state());
  auto config = host(1).config(network, {{0, 1}});
  config.networks[0].network.members[1].mac = "02:67:00:00:00:00";  // member 0's
  EXPECT_EQ(host(1).core().configure(now, config).error().code, Errc::invalid_argument);
  config = host(1).config(network, {{0, 1}});
  config.networks.push_back(config.networks[0]);
  EXPECT_EQ(host(1).core().configure(now, config).error().code, Errc::invalid_argument);
  config = host(1).config(network, {{0, 1}});
  config.networks[0].gateway_namespace = "../x";
  EXPECT_EQ(host(1).core().configure(now, config).error().code, Errc::invalid_argument);
  config = host(1).config(network, {{0, 1}});
  config.networks[0].network.gateway = "10.78.0.1";
  EXPECT_EQ(host(1).core().configure(now, config).error().code, Errc::invalid_argument);
  EXPECT_EQ(wire::encode(host(1).core().state()), before);
}

TEST_F(SwitchTest, ARemovedNetworkIsForgotten) {
  wire::SwitchConfig none{"cloud", "h1", {}};
  ASSERT_TRUE(host(1).core().configure(now, none));
  host(1).from_guest(now, 0, guest_frame(0, 1, "?"));
  EXPECT_EQ(host(1).drops(Drop::not_attached), 1U);
  run_for(Seconds{3});
  EXPECT_TRUE(host(1).core().networks().empty());
}

}  // namespace
}  // namespace godwit::overlay::testing
