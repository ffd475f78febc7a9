// What a destination refuses, and that it keeps nothing of it; and what a person's fence does.
#include "base/assert.h"
#include "migrate/channel.h"
#include "sim/host.h"
#include "sim/migration_rig.h"
#include "sim/network.h"

#include <gtest/gtest.h>

namespace godwit::simtest {
namespace {

using migrate::Channel;
using migrate::Hello;
using migrate::Welcome;
using wire::MigrationPhase;

// A host that says whatever the test wants to b1, and keeps the answer.
class Stranger final : public sim::Program {
 public:
  Stranger(sim::Process& process, ByteVector say) : runtime_(process.runtime()), gate_(runtime_.executor) {
    runtime_.peers.trust({sim::authority("cloud-a", "cloud-a"), sim::authority("cloud-b", "cloud-b")});
    gate_.spawn(talk(std::move(say)));
  }
  std::optional<Welcome> welcome;
  std::optional<Error> error;

 private:
  sys::Task<void> talk(ByteVector say) {
    const sys::PeerAddress address{"10.2.0.11", 7402, "b1.cloud-b.godwit"};
    auto stream = co_await runtime_.peers.dial(address);
    if (!stream) {
      error = stream.error();
      co_return;
    }
    (void)co_await (*stream)->write(say);
    const auto json = co_await migrate::read_packed(**stream, migrate::kFrameLimit_bytes);
    if (!json) {
      error = json.error();
      co_return;
    }
    auto parsed = migrate::parse_welcome(*json);
    if (parsed) welcome = *parsed;
    co_await runtime_.clock.sleep_for(Seconds{3600});  // it goes on listening
  }

  sys::Runtime& runtime_;
  sys::Gate gate_;
};

class Refusal : public ::testing::Test {
 protected:
  Refusal() { rig_.world.run_for(Millis{200}); }

  Hello hello() {
    Hello hello;
    hello.version = migrate::kProtocolVersion;
    hello.migration = kMigration;
    hello.ticket = "a good ticket";
    hello.spec = instance_spec();
    hello.location_version = 1;
    hello.source_api = "https://10.1.0.1:7443";
    hello.encodings = {"plain"};
    return hello;
  }
  Stranger& say(ByteVector bytes, const sim::Identity& as = {"a1.cloud-a.godwit", "cloud-a"}) {
    ++strangers_;
    auto& host = rig_.world.add_host(fmt::format("x{}", strangers_), "site-a", fmt::format("10.9.0.{}", strangers_));
    auto& process = host.start("stranger", as, [&](sim::Process& p) { return std::make_unique<Stranger>(p, bytes); });
    rig_.world.run_for(Seconds{15});
    return dynamic_cast<Stranger&>(process.program());
  }
  // Refused with `code` and a reason that has `words`, and b1 is as if it had never been asked.
  void expect_refused(Stranger& stranger, Errc code, const std::string& words) {
    ASSERT_TRUE(stranger.welcome) << (stranger.error ? stranger.error->message : "no answer");
    EXPECT_FALSE(stranger.welcome->ok);
    EXPECT_EQ(stranger.welcome->code, to_string(code)) << stranger.welcome->error;
    EXPECT_NE(stranger.welcome->error.find(words), std::string::npos) << stranger.welcome->error;
    expect_nothing_left();
  }
  void expect_nothing_left() {
    EXPECT_FALSE(rig_.has_instance("b1"));
    EXPECT_EQ(rig_.qemu("b1"), nullptr);
    EXPECT_FALSE(rig_.b1.files().exists(directory_of_instance()));
    EXPECT_TRUE(rig_.b1.files().list("/migrations")->empty());
    EXPECT_EQ(rig_.agent("b1")->migrations().standing(kInstance), migrate::Standing::may_run);
  }

  Rig rig_{1};
  int strangers_{0};
};

TEST_F(Refusal, AForeignTicket) {
  auto bad = hello();
  bad.ticket = "another";
  expect_refused(say(migrate::pack(bad)), Errc::denied, "not of this cloud");
}

TEST_F(Refusal, AUsedTicket) {
  rig_.redeemed = "a good ticket";
  expect_refused(say(migrate::pack(hello())), Errc::denied, "used before");
}

TEST_F(Refusal, ATicketForAnotherInstanceOrMigration) {
  auto bad = hello();
  bad.spec.id = "i-00000000000000002";
  expect_refused(say(migrate::pack(bad)), Errc::denied, "is for instance");
  rig_.redeemed.clear();
  bad = hello();
  bad.migration = "mig-00000000000000002";
  expect_refused(say(migrate::pack(bad)), Errc::denied, "is for migration");
}

TEST_F(Refusal, AnotherVersionOfTheProtocol) {
  auto bad = hello();
  bad.version = 2;
  expect_refused(say(migrate::pack(bad)), Errc::unsupported, "version 2");
}

TEST_F(Refusal, ASpecThatCannotBe) {
  auto bad = hello();
  bad.spec.machine_type = "pc,-S";
  expect_refused(say(migrate::pack(bad)), Errc::invalid_argument, "machine_type");
}

TEST_F(Refusal, AFrameThatIsTooLongOrNoJson) {
  ByteVector large;
  append_be32(large, 1U << 30U);
  EXPECT_TRUE(say(large).error);
  expect_nothing_left();
  ByteVector garbage;
  append_be32(garbage, 4);
  append(garbage, as_bytes("GET "));
  expect_refused(say(garbage), Errc::protocol, "Hello");
}

TEST_F(Refusal, AStrangerWithoutATrustedCertificate) {
  auto& stranger = say(migrate::pack(hello()), {"a1.cloud-a.godwit", "cloud-x"});
  ASSERT_TRUE(stranger.error);
  EXPECT_EQ(stranger.error->code, Errc::not_authentic);
  expect_nothing_left();
}

TEST_F(Refusal, ADataChannelOrAResumptionByAnotherHost) {
  rig_.order_migration();
  rig_.world.run_until([&] { return rig_.phase("a1") >= MigrationPhase::disk; }, Seconds{10});
  auto thief = hello();
  thief.resume = true;
  auto& resumer = say(migrate::pack(thief), {"a2.cloud-a.godwit", "cloud-a"});
  ASSERT_TRUE(resumer.welcome);
  EXPECT_EQ(resumer.welcome->code, to_string(Errc::denied));
  auto data = hello();
  data.channel = Channel::memory;
  data.nonce = "guessed";
  auto& guesser = say(migrate::pack(data), {"a1.cloud-a.godwit", "cloud-a"});
  ASSERT_TRUE(guesser.welcome);
  EXPECT_FALSE(guesser.welcome->ok);
  EXPECT_TRUE(rig_.world.run_until([&] { return rig_.settled(); }, Seconds{60})) << "and the migration goes on";
  EXPECT_TRUE(rig_.has_instance("b1"));
}

TEST_F(Refusal, ASecondMigrationOfAnInstanceThatArrives) {
  rig_.order_migration();
  rig_.world.run_until([&] { return rig_.phase("a1") >= MigrationPhase::disk; }, Seconds{10});
  auto second = hello();
  second.migration = "mig-00000000000000002";
  auto& stranger = say(migrate::pack(second));
  ASSERT_TRUE(stranger.welcome);
  EXPECT_EQ(stranger.welcome->code, to_string(Errc::conflict));
  EXPECT_TRUE(rig_.world.run_until([&] { return rig_.settled(); }, Seconds{60}));
}

// ---- cuts and fences

TEST(MigrationCut, TheSourceRunsAgainWithinASecondOfNoticingACutInTheSwitchover) {
  Rig rig(3);
  rig.world.run_for(Millis{200});
  rig.order_migration();
  ASSERT_TRUE(rig.world.run_until([&] { return rig.phase("a1") == MigrationPhase::paused; }, Seconds{30}));
  rig.world.network().cut("site-a", "site-b");
  const auto cut_at = rig.world.now();
  ASSERT_TRUE(rig.world.run_until([&] { return rig.oracle.running == 1; }, Seconds{30}));
  EXPECT_LE(to_s(rig.world.now() - cut_at), 3.0) << "2 s to notice, 1 s to resume";
  rig.world.network().heal_all();
  EXPECT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{60})) << rig.describe();
  EXPECT_EQ(rig.told["a1"].phase, MigrationPhase::aborted);
  EXPECT_NE(rig.told["a1"].error.find("silent"), std::string::npos) << rig.told["a1"].error;
}

// Until both agents have voted and neither can hear the other: D is prepared, S has released.
void run_into_doubt(Rig& rig) {
  rig.world.run_for(Millis{200});
  rig.order_migration();
  ASSERT_TRUE(rig.world.run_until([&] { return rig.phase("a1") == MigrationPhase::released; }, Seconds{30}));
  rig.world.network().cut("site-a", "site-b");
  rig.world.run_for(Seconds{30});
  ASSERT_EQ(rig.phase("a1"), MigrationPhase::in_doubt) << rig.describe();
  ASSERT_EQ(rig.oracle.running, 0);
}

TEST(MigrationDoubt, HealingDecides) {
  Rig rig(4);
  run_into_doubt(rig);
  EXPECT_NE(rig.report("a1")->error.find("--fence"), std::string::npos);
  rig.world.network().heal_all();
  EXPECT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{60})) << rig.describe();
  EXPECT_EQ(rig.oracle.problem, "");
}

TEST(MigrationDoubt, AFenceGivesItToTheSourceWhenTheDestinationIsDead) {
  Rig rig(5);
  run_into_doubt(rig);
  rig.b1.power_off();  // and it stays so
  rig.fence_a = wire::Decision::aborted;
  ASSERT_TRUE(rig.world.run_until([&] { return rig.oracle.running == 1; }, Seconds{30})) << rig.describe();
  EXPECT_EQ(rig.phase("a1"), MigrationPhase::aborted);
  // Should its host come back after all, it gives up what it has.
  rig.world.network().heal_all();
  rig.start_agent("b1");
  EXPECT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{120})) << rig.describe();
  EXPECT_TRUE(rig.has_instance("a1"));
  EXPECT_EQ(rig.oracle.problem, "");
}

TEST(MigrationDoubt, AFenceGivesItToTheDestinationWhenTheSourceIsDead) {
  Rig rig(6);
  run_into_doubt(rig);
  rig.a1.power_off();
  rig.fence_b = wire::Decision::released;
  ASSERT_TRUE(rig.world.run_until([&] { return rig.oracle.running == 1; }, Seconds{30})) << rig.describe();
  EXPECT_EQ(rig.phase("b1"), MigrationPhase::completed);
  rig.world.network().heal_all();
  rig.start_agent("a1");
  EXPECT_TRUE(rig.world.run_until([&] { return rig.settled(); }, Seconds{120})) << rig.describe();
  EXPECT_TRUE(rig.has_instance("b1"));
  EXPECT_EQ(rig.oracle.problem, "");
}

}  // namespace
}  // namespace godwit::simtest
