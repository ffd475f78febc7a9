#include "sky/sky.h"

#include "support/sky_world.h"

#include <gtest/gtest.h>

namespace godwit::sky {
namespace {

using wire::ClusterState;

class SkyTest : public ::testing::Test, protected testing::SkyWorld {
 protected:
  SkyTest() { add_accounts(); }
};

TEST_F(SkyTest, ClusterSpansBothCloudsAndSaysWhenAllAreReady) {
  const auto created = create(demo());
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->state, ClusterState::creating);
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
  EXPECT_EQ(a().alive(), 2U);
  EXPECT_EQ(b().alive(), 2U);
  EXPECT_GE(view().ready_after_s, 20);
  EXPECT_LE(view().ready_after_s, 22);
  for (const auto& member : view().members) EXPECT_EQ(member.state, wire::InstanceState::running);
  EXPECT_EQ(view().members[0].name, "demo-1");
  EXPECT_TRUE(view().members[0].ip.ends_with(".11"));
}

TEST_F(SkyTest, CloudsAreIntroducedAndToldWhereAllMembersAre) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
  time_.run_for(Seconds{10});
  const auto& network = view().network;
  ASSERT_EQ(a().peers[network].clouds.size(), 1U);
  EXPECT_EQ(a().peers[network].clouds[0].cloud, "cloud-b");
  EXPECT_EQ(a().peers[network].clouds[0].pem, b().about.ca_pem);
  EXPECT_EQ(a().networks[network].members, b().networks[network].members);
  for (const auto& member : a().networks[network].members) EXPECT_EQ(member.location.version, 1U);
  EXPECT_EQ(a().networks[network].key, b().networks[network].key);
}

TEST_F(SkyTest, NothingIsPushedWhileNothingChanges) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  time_.run_for(Seconds{10});
  http_.calls.clear();
  const auto writes = files_.writes;
  time_.run_for(Seconds{60});
  EXPECT_GT(http_.calls.size(), 10U);
  for (const auto& call : http_.calls) EXPECT_EQ(call.method, "GET") << call.path;
  EXPECT_EQ(files_.writes, writes);
}

TEST_F(SkyTest, AskingTwiceMakesOneClusterAndAnotherSpecIsRefused) {
  const auto first = create(demo());
  const auto again = create(demo());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(first->network, again->network);
  EXPECT_EQ(create(demo(3)).error().code, Errc::conflict);
  ASSERT_TRUE(reaches(ClusterState::ready));
  EXPECT_EQ(a().launches + b().launches, 4);
}

TEST_F(SkyTest, LostAnswersLaunchNothingTwice) {
  http_.lose_answers = 12;
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready, Seconds{300})) << describe();
  EXPECT_EQ(a().launches + b().launches, 4);
}

TEST_F(SkyTest, RestartAtEveryStepLosesAndRepeatsNothing) {
  ASSERT_TRUE(create(demo()));
  for (int step = 0; step < 400 && view().state != ClusterState::ready; ++step) {
    time_.run_for(Millis{step % 7});
    restart();
    time_.run_for(Millis{100});
  }
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
  EXPECT_EQ(a().launches + b().launches, 4);
  EXPECT_GT(view().ready_after_s, 0);
}

TEST_F(SkyTest, AnUnreachableCloudDegradesTheClusterAndLosesNothing) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  http_.cut.insert("cloud-b");
  ASSERT_TRUE(reaches(ClusterState::degraded));
  ASSERT_FALSE(view().problems.empty());
  EXPECT_NE(view().problems[0].find("cloud cloud-b can't be reached"), std::string::npos) << view().problems[0];
  EXPECT_EQ(view().members.size(), 4U);
  restart();
  ASSERT_TRUE(reaches(ClusterState::degraded));
  http_.cut.clear();
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
  EXPECT_EQ(a().launches + b().launches, 4);
}

TEST_F(SkyTest, ACloudThatIsDownAtFirstIsCaughtUpWith) {
  http_.cut.insert("cloud-b");
  ASSERT_TRUE(create(demo()));
  time_.run_for(Seconds{60});
  EXPECT_EQ(view().state, ClusterState::degraded);
  EXPECT_EQ(a().alive(), 2U);
  http_.cut.clear();
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
  EXPECT_EQ(b().alive(), 2U);
}

TEST_F(SkyTest, DeleteLeavesNothing) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  ASSERT_TRUE(sky_->delete_cluster("demo"));
  EXPECT_EQ(view().state, ClusterState::deleting);
  restart();
  ASSERT_TRUE(time_.run_until([&] { return !sky_->cluster("demo"); })) << describe();
  for (auto* cloud : {&a(), &b()}) {
    cloud->pass_time();
    EXPECT_EQ(cloud->alive(), 0U);
    EXPECT_TRUE(cloud->networks.empty());
    EXPECT_TRUE(cloud->peers.empty());
  }
  EXPECT_FALSE(files_.contents.contains("/sky/clusters/demo.json"));
  ASSERT_TRUE(create(demo(2)));
  EXPECT_TRUE(reaches(ClusterState::ready));
}

TEST_F(SkyTest, DeleteWaitsForTheCloudThatCannotBeReached) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  http_.cut.insert("cloud-b");
  ASSERT_TRUE(sky_->delete_cluster("demo"));
  time_.run_for(Seconds{60});
  EXPECT_EQ(a().alive(), 0U);
  EXPECT_EQ(view().state, ClusterState::deleting);
  EXPECT_FALSE(view().problems.empty());
  http_.cut.clear();
  EXPECT_TRUE(time_.run_until([&] { return !sky_->cluster("demo"); }));
  EXPECT_TRUE(b().networks.empty());
}

TEST_F(SkyTest, DeleteWhileItIsBeingCreatedLeavesNothing) {
  for (int millis = 0; millis < 40; millis += 3) {
    http_.lose_answers = millis % 4;
    ASSERT_TRUE(create(demo()));
    time_.run_for(Millis{millis});
    ASSERT_TRUE(sky_->delete_cluster("demo"));
    ASSERT_TRUE(time_.run_until([&] { return !sky_->cluster("demo"); })) << describe();
    EXPECT_EQ(a().alive() + b().alive(), 0U);
    EXPECT_TRUE(a().networks.empty() && b().networks.empty());
  }
}

TEST_F(SkyTest, WhatNoCloudWouldLaunchIsSaidAndCanBeDeleted) {
  a().refuse_launches = b().refuse_launches = "no image debian-12";
  ASSERT_TRUE(create(demo()));
  time_.run_for(Seconds{30});
  EXPECT_EQ(view().state, ClusterState::degraded);
  EXPECT_EQ(view().members[0].problem, "cloud-a: run instance: no image debian-12");
  ASSERT_TRUE(sky_->delete_cluster("demo"));
  ASSERT_TRUE(time_.run_until([&] { return !sky_->cluster("demo"); })) << describe();
}

TEST_F(SkyTest, WhatIsRefusedTodayMayBeTakenTomorrow) {
  a().refuse_launches = b().refuse_launches = "no image debian-12";
  ASSERT_TRUE(create(demo()));
  time_.run_for(Seconds{30});
  a().refuse_launches = b().refuse_launches = "";
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
}

TEST_F(SkyTest, AnotherVniIsDrawnWhereACloudHasGivenItAway) {
  http_.cut.insert("cloud-b");
  ASSERT_TRUE(create(demo(2)));
  const auto taken = sky_->networks().networks.at(0).vni;
  b().taken_vnis.insert(taken);
  http_.cut.clear();
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
  EXPECT_NE(sky_->networks().networks.at(0).vni, taken);
  EXPECT_EQ(a().networks[view().network].vni, b().networks[view().network].vni);
}

TEST_F(SkyTest, AnInstanceMovesAndEveryCloudHearsWhereItIs) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  const auto member = view().members[0];
  ASSERT_EQ(member.cloud, "cloud-a");
  const auto asked = sky_->migrate_instance(member.instance, to("cloud-b"));
  ASSERT_TRUE(asked) << asked.error().message;
  const auto id = asked->migrations.at(0).id;
  EXPECT_EQ(view().members[0].migration, id);
  ASSERT_TRUE(ends(id));
  const auto report = sky_->migration(id).value();
  EXPECT_EQ(report.phase, wire::MigrationPhase::completed) << report.error;
  EXPECT_EQ(report.cost.downtime_ms, 120);
  EXPECT_EQ(report.to_host, "b1");
  time_.run_for(Seconds{10});
  EXPECT_EQ(view().members[0].cloud, "cloud-b");
  EXPECT_EQ(view().members[0].migration, "");
  EXPECT_EQ(view().state, ClusterState::ready) << describe();
  for (auto* cloud : {&a(), &b()}) {
    EXPECT_EQ(cloud->networks[view().network].members[0].location.cloud, "cloud-b");
    EXPECT_EQ(cloud->networks[view().network].members[0].location.version, 2U);
  }
  EXPECT_EQ(sky_->migrate_instance(member.instance, to("cloud-b")).error().code, Errc::invalid_argument);
}

TEST_F(SkyTest, AnInstanceMovesToACloudThatTheClusterNeverUsed) {
  auto spec = demo(2);
  spec.clouds = {"cloud-a"};
  ASSERT_TRUE(create(spec));
  ASSERT_TRUE(reaches(ClusterState::ready));
  EXPECT_TRUE(b().networks.empty());
  const auto asked = sky_->migrate_cluster("demo", to("cloud-b"));
  ASSERT_TRUE(asked) << asked.error().message;
  for (const auto& each : asked->migrations) ASSERT_TRUE(ends(each.id));
  time_.run_for(Seconds{10});
  EXPECT_EQ(view().state, ClusterState::ready) << describe();
  EXPECT_EQ(a().alive(), 0U);
  EXPECT_EQ(b().alive(), 2U);
  ASSERT_TRUE(sky_->delete_cluster("demo"));
  ASSERT_TRUE(time_.run_until([&] { return !sky_->cluster("demo"); }));
  EXPECT_TRUE(a().networks.empty() && b().networks.empty());
}

// Members of one host ask for one host, and take another where that is full.
TEST_F(SkyTest, ThoseOfOneHostGoToOneHostIfThatHasRoom) {
  auto spec = demo(4);
  spec.clouds = {"cloud-a"};
  ASSERT_TRUE(create(spec));
  ASSERT_TRUE(reaches(ClusterState::ready));
  const auto all_ended = [&] {
    const auto list = sky_->migrations();
    return std::ranges::all_of(list.migrations, [](const auto& each) { return wire::is_final(each.phase); });
  };
  const auto wishes = [&] {
    std::map<std::string, int> counts;
    for (const auto& [ticket, each] : b().tickets) ++counts[each.destination_host];
    return counts;
  };
  auto request = to("cloud-b");
  request.members = {"demo-1", "demo-2"};
  ASSERT_TRUE(sky_->migrate_cluster("demo", request));
  ASSERT_TRUE(time_.run_until(all_ended));
  EXPECT_EQ(wishes(), (std::map<std::string, int>{{"", 1}, {"b1", 1}}));
  b().refuse_hosts = true;
  request.members = {"demo-3", "demo-4"};
  ASSERT_TRUE(sky_->migrate_cluster("demo", request));
  ASSERT_TRUE(time_.run_until(all_ended));
  EXPECT_EQ(wishes(), (std::map<std::string, int>{{"", 3}, {"b1", 1}}));
  EXPECT_EQ(a().alive(), 0U);
}

TEST_F(SkyTest, AClusterMovesOneAheadThenFourAtATimeAndSaysWhichFailed) {
  auto spec = demo(5);
  spec.clouds = {"cloud-a"};
  ASSERT_TRUE(create(spec));
  ASSERT_TRUE(reaches(ClusterState::ready));
  b().refuse_tickets = "no room";
  b().refuse_tickets_of = "demo-2";
  const auto asked = sky_->migrate_cluster("demo", to("cloud-b"));
  ASSERT_TRUE(asked) << asked.error().message;
  ASSERT_EQ(asked->migrations.size(), 5U);
  std::size_t most = 0;
  std::size_t most_with_seed = 0;
  ASSERT_TRUE(time_.run_until([&] {
    std::size_t busy = 0;
    bool sown = false;
    for (const auto& [id, each] : a().migrations) {
      busy += !wire::is_final(each.report.phase);
      sown = sown || each.report.progress.rounds > 1 || each.report.phase >= wire::MigrationPhase::paused;
    }
    most = std::max(most, busy);
    if (!sown) most_with_seed = std::max(most_with_seed, busy);
    const auto list = sky_->migrations();
    return std::all_of(list.migrations.begin(), list.migrations.end(),
                       [](const auto& each) { return wire::is_final(each.phase); });
  }));
  EXPECT_EQ(most, 3U) << "of four that go, one went ahead";
  EXPECT_EQ(most_with_seed, 1U);
  time_.run_for(Seconds{10});
  EXPECT_EQ(b().alive(), 4U);
  EXPECT_EQ(a().alive(), 1U);
  for (const auto& each : sky_->migrations().migrations) {
    const bool failed = each.instance == view().members[1].instance;
    EXPECT_EQ(each.phase, failed ? wire::MigrationPhase::aborted : wire::MigrationPhase::completed);
    EXPECT_EQ(each.error.find("no room") != std::string::npos, failed) << each.error;
  }
}

TEST_F(SkyTest, MigrationGoesOnWhenSkyStartsAgainAtAnyStep) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  const auto asked = sky_->migrate_cluster("demo", to("cloud-b"));
  ASSERT_TRUE(asked) << asked.error().message;
  for (int step = 0; step < 200; ++step) {
    time_.run_for(Millis{step % 5});
    restart();
    time_.run_for(Millis{60});
  }
  for (const auto& each : asked->migrations) {
    ASSERT_TRUE(ends(each.id));
    EXPECT_EQ(sky_->migration(each.id)->phase, wire::MigrationPhase::completed) << sky_->migration(each.id)->error;
  }
  EXPECT_EQ(a().migrations.size(), 2U);
  time_.run_for(Seconds{10});
  EXPECT_EQ(b().alive(), 4U);
  EXPECT_EQ(view().state, ClusterState::ready) << describe();
}

TEST_F(SkyTest, ARefusedTicketOrOrderLeavesTheInstanceWhereItIs) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  const auto instance = view().members[0].instance;
  b().refuse_tickets = "quota of vcpus";
  auto id = sky_->migrate_instance(instance, to("cloud-b"))->migrations[0].id;
  ASSERT_TRUE(ends(id));
  EXPECT_NE(sky_->migration(id)->error.find("quota of vcpus"), std::string::npos);
  b().refuse_tickets.clear();
  a().refuse_orders = "it is stopped";
  id = sky_->migrate_instance(instance, to("cloud-b"))->migrations[0].id;
  ASSERT_TRUE(ends(id));
  EXPECT_NE(sky_->migration(id)->error.find("it is stopped"), std::string::npos);
  EXPECT_EQ(view().members[0].cloud, "cloud-a");
  EXPECT_EQ(view().members[0].migration, "");
}

TEST_F(SkyTest, CancelStopsAMigrationAtTheSource) {
  a().stuck = true;
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  const auto id = sky_->migrate_instance(view().members[0].instance, to("cloud-b"))->migrations[0].id;
  time_.run_for(Seconds{30});
  EXPECT_EQ(sky_->migration(id)->phase, wire::MigrationPhase::memory);
  ASSERT_TRUE(sky_->cancel(id));
  ASSERT_TRUE(ends(id));
  EXPECT_EQ(sky_->migration(id)->phase, wire::MigrationPhase::aborted);
  EXPECT_EQ(sky_->migration(id)->error, "cancelled by its user");
  EXPECT_EQ(sky_->cancel(id).error().code, Errc::conflict);
}

TEST_F(SkyTest, DeleteCancelsWhatIsOnItsWay) {
  a().stuck = true;
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  ASSERT_TRUE(sky_->migrate_cluster("demo", to("cloud-b")));
  time_.run_for(Seconds{5});
  ASSERT_TRUE(sky_->delete_cluster("demo"));
  ASSERT_TRUE(time_.run_until([&] { return !sky_->cluster("demo"); })) << describe();
  EXPECT_EQ(a().alive() + b().alive(), 0U);
}

TEST_F(SkyTest, FenceIsToldToTheCloudsThatCanBeReached) {
  a().stuck = true;
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  const auto instance = view().members[0].instance;
  EXPECT_EQ(time_.wait(sky_->fence(instance, {})).error().code, Errc::not_found);
  const auto id = sky_->migrate_instance(instance, to("cloud-b"))->migrations[0].id;
  time_.run_for(Seconds{5});
  http_.cut.insert("cloud-a");
  const auto answer = time_.wait(sky_->fence(instance, {"", wire::MigrationRole::destination}));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->told, std::vector<std::string>{"cloud-b"});
  EXPECT_TRUE(answer->problems.contains("cloud-a"));
  EXPECT_EQ(b().fences.at(0).migration, id);
  // Nobody can hand it off: sky's word stands for that.
  ASSERT_TRUE(time_.run_until([&] { return b().networks[view().network].members[0].granted_to == "cloud-b"; }));
  EXPECT_EQ(b().networks[view().network].members[0].granted_version, 2U);
  http_.cut.clear();
}

TEST(SkySight, AHigherVersionIsTakenWhereItIsProvenAndARenewalAlways) {
  ClusterRecord record;
  record.network.members = {{"i-1", "n1", "", "", {}, {"cloud-a", "a1", "192.0.2.1", 4789, 1}}};
  wire::Network said = record.network;
  auto& location = said.members[0].location;
  const auto nobody = [](const wire::Member&, const wire::Location&) { return false; };
  const auto everybody = [](const wire::Member&, const wire::Location&) { return true; };
  location = {"cloud-b", "b1", "192.0.2.2", 4789, 1000};
  EXPECT_FALSE(absorb_locations(record, "cloud-b", said, nobody));
  EXPECT_FALSE(absorb_locations(record, "cloud-a", said, everybody)) << "a cloud's word on another one's hosts";
  location = {"cloud-a", "a1", "192.0.2.7", 4789, 1};
  EXPECT_TRUE(absorb_locations(record, "cloud-a", said, nobody)) << "who has it goes on to be heard";
  location = {"cloud-b", "b1", "192.0.2.2", 4789, 2};
  EXPECT_TRUE(absorb_locations(record, "cloud-b", said, everybody));
  EXPECT_EQ(record.network.members[0].location.host, "b1");
}

TEST_F(SkyTest, ATerminatedMemberIsGoneFromTheNetwork) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  ASSERT_TRUE(sky_->terminate(view().members[1].instance));
  ASSERT_TRUE(time_.run_until([&] { return view().members.size() == 3; })) << describe();
  time_.run_for(Seconds{10});
  EXPECT_EQ(b().alive(), 1U);
  EXPECT_EQ(a().networks[view().network].members.size(), 3U);
  EXPECT_EQ(view().state, ClusterState::ready);
}

TEST_F(SkyTest, AMemberThatItsCloudHasNoRoomForIsPlacedElsewhere) {
  auto spec = demo(4);
  spec.clouds.clear();
  b().room = 1;
  ASSERT_TRUE(create(spec));
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
  EXPECT_EQ(a().alive(), 3U);
  EXPECT_EQ(b().alive(), 1U);
}

TEST_F(SkyTest, ClustersThatFitNowhereAreRefusedBeforeAnythingIsMade) {
  a().about.quota.instances = 1;
  b().about.quota.instances = 1;
  const auto refused = create(demo(4));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::exhausted);
  EXPECT_NE(refused.error().message.find("cloud-a has room for 0 instances"), std::string::npos)
      << refused.error().message;
  EXPECT_FALSE(sky_->cluster("demo"));
}

TEST_F(SkyTest, AnAccountIsTriedBeforeItIsKept) {
  auto wrong = account("cloud-a");
  wrong.token = "guessed";
  EXPECT_EQ(time_.wait(sky_->put_account(wrong)).error().code, Errc::not_authentic);
  auto misnamed = account("cloud-a");
  misnamed.cloud = "cloud-x";
  EXPECT_EQ(time_.wait(sky_->put_account(misnamed)).error().code, Errc::invalid_argument);
  auto plain = account("cloud-a");
  plain.url = "http://192.0.2.7:80";
  EXPECT_EQ(time_.wait(sky_->put_account(plain)).error().code, Errc::invalid_argument);
  EXPECT_EQ(http_.trusted.size(), 2U);
  ASSERT_TRUE(create(demo()));
  EXPECT_EQ(sky_->remove_account("cloud-a").error().code, Errc::conflict);
  EXPECT_EQ(sky_->remove_account("cloud-z").error().code, Errc::not_found);
}

TEST_F(SkyTest, SecretsAreForTheirOwnerOnly) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  for (const auto& [path, mode] : files_.modes) EXPECT_EQ(mode, 0600U) << path;
  EXPECT_EQ(wire::encode(sky_->networks()).find(a().networks[view().network].key), std::string::npos);
  const auto instance = time_.wait(sky_->instance(view().members[0].instance));
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->spec.user_data, "");
}

TEST_F(SkyTest, AFullDiskRefusesWishesInsteadOfForgettingThem) {
  files_.full = true;
  EXPECT_EQ(create(demo()).error().code, Errc::io);
  EXPECT_FALSE(sky_->cluster("demo"));
  files_.full = false;
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready));
  files_.full = true;
  EXPECT_EQ(sky_->delete_cluster("demo").error().code, Errc::io);
  EXPECT_EQ(sky_->migrate_cluster("demo", to("cloud-b")).error().code, Errc::io);
  EXPECT_EQ(view().state, ClusterState::ready);
  files_.full = false;
}

TEST_F(SkyTest, CloudsThatDoNotAnswerDelayWhatIsSeenByOneLimitTogether) {
  ASSERT_TRUE(create(demo()));
  ASSERT_TRUE(reaches(ClusterState::ready)) << describe();
  http_.cut = {"cloud-a", "cloud-b"};
  const auto began = time_.now();
  const auto seen = time_.wait(sky_->observe("demo"));
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->problems.size(), 2U);
  EXPECT_EQ(time_.now() - began, kCloudCallLimit);
}

}  // namespace
}  // namespace godwit::sky
