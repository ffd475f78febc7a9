// A migration as two clouds see it: tickets, votes, fences, and what each cloud shows.
#include "support/two_clouds.h"

#include <gtest/gtest.h>

#include <random>

namespace godwit::api {
namespace {

using testing::CloudBench;
using testing::instance_id;
using testing::kNetwork;
using testing::migration_id;
using wire::Decision;
using wire::InstanceState;
using wire::MigrationPhase;
using wire::MigrationRole;

class CloudMigrations : public testing::TwoClouds {
 protected:
  // As far as the destination having redeemed its ticket.
  wire::InstanceView under_way(int number, int migration) {
    const auto instance = running(number);
    const auto grant = ticket(ticket_request(instance, migration));
    EXPECT_TRUE(grant) << grant.error().message;
    const auto started = migrate(instance, migration, *grant);
    EXPECT_TRUE(started) << started.error().message;
    const auto redeemed = redeem(redeem_request(instance, *grant));
    EXPECT_TRUE(redeemed) << redeemed.error().message;
    a1.sync();
    b1.sync();
    return instance;
  }
  Result<wire::MigrationReport> fence(CloudBench& cloud, int number, int migration, MigrationRole winner) {
    return user<wire::MigrationReport>(cloud, "POST", "/v1/instances/" + instance_id(number) + "/resolve",
                                       wire::encode(wire::FenceRequest{migration_id(migration), winner}));
  }
  std::uint32_t used_at_b() { return user<wire::CloudView>(b, "GET", "/v1/cloud")->used.instances; }
};

TEST_F(CloudMigrations, AnInstanceMovesAndEachCloudSaysSo) {
  const auto instance = running(1);
  const auto grant = ticket(ticket_request(instance, 1));
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_EQ(grant->destination.certificate_name, "b1.cloud-b.godwit");
  EXPECT_EQ(used_at_b(), 1U) << "the reservation counts";

  // The destination's host opens its door before the source knocks.
  b1.sync();
  ASSERT_EQ(b1.desired.networks.size(), 1U);
  ASSERT_EQ(b1.desired.trusted.size(), 2U);
  EXPECT_EQ(b1.desired.trusted[0].cloud, "cloud-a");
  b2.sync();
  EXPECT_EQ(b2.desired.trusted.size(), 1U) << "only hosts with a place on the network believe the other cloud";

  ASSERT_TRUE(migrate(instance, 1, *grant));
  a1.sync();
  ASSERT_EQ(a1.desired.migrations.size(), 1U);
  EXPECT_EQ(a1.desired.migrations[0].grant.ticket, grant->ticket);

  ASSERT_TRUE(redeem(redeem_request(instance, *grant)));
  b1.sync();
  ASSERT_NE(b1.desires(instance_id(1)), nullptr);
  EXPECT_EQ(b1.desires(instance_id(1))->incoming_migration, migration_id(1));
  EXPECT_EQ(show(b, instance_id(1))->state, InstanceState::pending);
  EXPECT_EQ(show(b, instance_id(1))->migration, migration_id(1));
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::running);

  EXPECT_EQ(vote("release", 1), Decision::released);
  b1.report.instances.push_back({instance_id(1), InstanceState::running, false, 2, ""});
  b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::owned);
  EXPECT_EQ(show(b, instance_id(1))->state, InstanceState::running);
  EXPECT_EQ(show(b, instance_id(1))->location_version, 2U);
  EXPECT_EQ(b1.desires(instance_id(1))->incoming_migration, "");
  b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::completed);

  a1.report.instances.clear();
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::completed);
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::moved);
  EXPECT_EQ(show(a, instance_id(1))->moved_to, "cloud-b");
  EXPECT_TRUE(a1.desired.instances.empty());
  EXPECT_TRUE(a1.desired.migrations.empty());
  EXPECT_EQ(user<wire::CloudView>(a, "GET", "/v1/cloud")->used.instances, 0U);
  EXPECT_EQ(used_at_b(), 1U);
  EXPECT_EQ(show_migration(a, migration_id(1))->phase, MigrationPhase::completed);
  EXPECT_EQ(show_migration(b, migration_id(1))->phase, MigrationPhase::completed);
}

TEST_F(CloudMigrations, GoesOnWhenBothCloudsRestartBetweenAnyTwoSteps) {
  const auto restart = [&] {
    a.restart();
    b.restart();
  };
  const auto instance = running(1);
  restart();
  const auto grant = ticket(ticket_request(instance, 1));
  ASSERT_TRUE(grant);
  restart();
  EXPECT_EQ(ticket(ticket_request(instance, 1))->ticket, grant->ticket) << "the answer was lost, and asked for again";
  ASSERT_TRUE(migrate(instance, 1, *grant));
  restart();
  ASSERT_TRUE(migrate(instance, 1, *grant));
  a1.sync();
  ASSERT_EQ(a1.desired.migrations.size(), 1U);
  ASSERT_TRUE(redeem(redeem_request(instance, *grant)));
  restart();
  ASSERT_TRUE(redeem(redeem_request(instance, *grant))) << "the same host and migration again: the answer was lost";
  EXPECT_EQ(vote("release", 1), Decision::released);
  restart();
  EXPECT_EQ(vote("release", 1), Decision::released);
  EXPECT_EQ(vote("abort", 1), Decision::released) << "a vote is cast once";
  b1.report.instances.push_back({instance_id(1), InstanceState::running, false, 2, ""});
  b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::owned);
  restart();
  b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::completed);
  restart();
  a1.report.instances.clear();
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::completed);
  restart();
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::moved);
  EXPECT_EQ(show(b, instance_id(1))->state, InstanceState::running);
  EXPECT_EQ(used_at_b(), 1U);
}

TEST_F(CloudMigrations, ComesBackToTheCloudItLeft) {
  under_way(1, 1);
  b1.report.instances.push_back({instance_id(1), InstanceState::running, false, 2, ""});
  b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::completed);
  a1.report.instances.clear();
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::completed);

  const auto there = show(b, instance_id(1)).value();
  auto request = ticket_request(there, 2);
  request.source_cloud = "cloud-b";
  request.destination_host = "a1";
  const auto grant = user<wire::TicketGrant>(a, "POST", "/v1/tickets", wire::encode(request));
  ASSERT_TRUE(grant) << grant.error().message;
  const auto redeemed =
      host<wire::RedeemAnswer>(a, "a1", "/v1/agent/tickets/redeem",
                               wire::encode(wire::RedeemRequest{grant->ticket, "cloud-b", there.host_key, there.spec}));
  ASSERT_TRUE(redeemed) << redeemed.error().message;
  a1.report.instances.push_back({instance_id(1), InstanceState::pending, false, 0, ""});
  a1.sync();
  ASSERT_NE(a1.desires(instance_id(1)), nullptr);
  EXPECT_EQ(a1.desires(instance_id(1))->state, wire::DesiredInstanceState::running)
      << "what it was here before is no reason to delete what arrives";
  a1.report.instances = {{instance_id(1), InstanceState::running, false, 3, ""}};
  a1.say(migration_id(2), MigrationRole::destination, MigrationPhase::completed);
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::running);
  EXPECT_EQ(show(a, instance_id(1))->moved_to, "");
  EXPECT_EQ(show(a, instance_id(1))->location_version, 3U);
}

TEST_F(CloudMigrations, ChangesHostInsideOneCloud) {
  const auto instance = running(1);
  auto request = ticket_request(instance, 1);
  request.destination_host = "";
  const auto grant = user<wire::TicketGrant>(a, "POST", "/v1/tickets", wire::encode(request));
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_EQ(grant->destination.host, "a2");
  wire::MigrateRequest order;
  order.migration = migration_id(1);
  order.grant = *grant;
  order.destination_cloud = "cloud-a";
  ASSERT_TRUE(user(a, "POST", "/v1/instances/" + instance_id(1) + "/migrate", wire::encode(order)));
  ASSERT_TRUE(host(a, "a2", "/v1/agent/tickets/redeem", wire::encode(redeem_request(instance, *grant))));
  EXPECT_EQ(vote("release", 1), Decision::released);
  a2.report.instances.push_back({instance_id(1), InstanceState::running, false, 2, ""});
  a2.say(migration_id(1), MigrationRole::destination, MigrationPhase::completed);
  EXPECT_EQ(show(a, instance_id(1))->host, "a2");
  a1.sync();
  EXPECT_EQ(a1.desires(instance_id(1)), nullptr) << "the source's agent cleans up by itself";
  a1.report.instances.clear();
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::completed);
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::running);
  EXPECT_EQ(user<wire::CloudView>(a, "GET", "/v1/cloud")->used.instances, 1U);
}

TEST_F(CloudMigrations, AnAbortedOneLeavesNothingBehind) {
  under_way(1, 1);
  EXPECT_EQ(used_at_b(), 1U);
  b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::aborted);
  EXPECT_EQ(used_at_b(), 0U);
  EXPECT_EQ(show(b, instance_id(1)).error().code, Errc::not_found);
  EXPECT_TRUE(b1.desired.instances.empty());
  EXPECT_TRUE(b1.desired.networks.empty());
  EXPECT_EQ(b1.desired.trusted.size(), 1U);
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::aborted);
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::running);
  EXPECT_EQ(show(a, instance_id(1))->migration, "");
  EXPECT_EQ(resolve(1), Decision::aborted);
  EXPECT_TRUE(ticket(ticket_request(show(a, instance_id(1)).value(), 2))) << "and it can be tried again";
}

TEST_F(CloudMigrations, TheTwoHostsBelieveEachOtherUntilBothKnowTheEnd) {
  under_way(1, 1);
  b1.report.unsettled = {migration_id(1)};
  b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::aborted);
  EXPECT_TRUE(b1.desired.networks.empty());
  ASSERT_EQ(b1.desired.trusted.size(), 2U) << "the source may not have heard yet that it was given up";
  EXPECT_EQ(b1.desired.trusted[0].cloud, "cloud-a");
  b1.report.unsettled.clear();
  b1.sync();
  EXPECT_EQ(b1.desired.trusted.size(), 1U);
  b1.report.unsettled = {migration_id(7)};
  b1.sync();
  EXPECT_EQ(b1.desired.trusted.size(), 1U) << "one that is unknown opens no door";
}

TEST_F(CloudMigrations, ADestinationThatHasNoRecordHasDroppedIt) {
  under_way(1, 1);
  sphere.advance(Seconds{29});
  b1.sync();
  EXPECT_EQ(used_at_b(), 1U);
  sphere.advance(Seconds{2});
  b1.sync();
  EXPECT_EQ(used_at_b(), 0U);
  EXPECT_EQ(show_migration(b, migration_id(1))->phase, MigrationPhase::aborted);
  // It owned it after all: what runs is believed.
  b1.report.instances.push_back({instance_id(1), InstanceState::running, false, 2, ""});
  b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::owned);
  EXPECT_EQ(show(b, instance_id(1))->state, InstanceState::running);
}

// ---- the vote

TEST_F(CloudMigrations, TheDestinationAsksFirstAndTheCloudVotesAborted) {
  under_way(1, 1);
  EXPECT_EQ(resolve(1), Decision::aborted);
  a.restart();
  EXPECT_EQ(vote("release", 1), Decision::aborted);
  a1.sync();
  EXPECT_EQ(a1.desired.migrations.at(0).decision, Decision::aborted);
}

TEST_F(CloudMigrations, TheSourceTellsFirstAndTheCloudVotesReleased) {
  under_way(1, 1);
  EXPECT_EQ(vote("release", 1), Decision::released);
  a.restart();
  EXPECT_EQ(resolve(1), Decision::released);
  a1.sync();
  EXPECT_EQ(a1.desired.migrations.at(0).decision, Decision::released);
}

// Whoever asks, in whatever order, with restarts between: the first answer is the answer.
TEST_F(CloudMigrations, AVoteIsNeverChanged) {
  std::map<Decision, int> outcomes;
  for (int seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    under_way(1, seed);
    Decision first = Decision::none;
    for (int step = 0; step < 12; ++step) {
      Result<Decision> said = Decision::none;
      switch (random() % 4) {
        case 0: said = vote("release", seed); break;
        case 1: said = vote("abort", seed); break;
        case 2: said = resolve(seed); break;
        default: a.restart();
      }
      ASSERT_TRUE(said) << said.error().message;
      if (first == Decision::none) first = *said;
      if (*said != Decision::none) {
        ASSERT_EQ(*said, first) << "seed " << seed << ", step " << step;
      }
    }
    ++outcomes[first];
    // Ended as it was voted, so that the next seed finds the instance at home.
    b1.say(migration_id(seed), MigrationRole::destination, MigrationPhase::aborted);
    if (first == Decision::released) {
      ASSERT_TRUE(fence(a, 1, seed, MigrationRole::source));
    }
    a1.say(migration_id(seed), MigrationRole::source, MigrationPhase::aborted);
    ASSERT_EQ(show(a, instance_id(1))->state, InstanceState::running);
  }
  EXPECT_GT(outcomes[Decision::released], 0);
  EXPECT_GT(outcomes[Decision::aborted], 0);
}

TEST_F(CloudMigrations, OnlyTheTwoAgentsOfTheMigrationMoveTheVote) {
  under_way(1, 1);
  EXPECT_EQ(vote("release", 1, "a2").error().code, Errc::denied);
  EXPECT_EQ(vote("release", 9).error().code, Errc::not_found);
  EXPECT_EQ(resolve(1, "b2").error().code, Errc::denied);
  EXPECT_EQ(resolve(1, "b1", "cloud-c").error().code, Errc::denied);
  EXPECT_EQ(resolve(9).error().code, Errc::denied);
  const auto by_stranger = CloudBench::as_host("b1", "cloud-b", "/v1/agent/migrations/" + migration_id(1) + "/release");
  EXPECT_EQ(a.ask(by_stranger).status, 403) << "a host of another cloud is no agent of this one";
  auto nobody = by_stranger;
  nobody.path = "/v1/peer/migrations/" + migration_id(1) + "/resolve";
  nobody.peer.reset();
  EXPECT_EQ(a.ask(nobody).status, 401);
  EXPECT_EQ(vote("release", 1), Decision::released) << "none of them has voted";
}

TEST_F(CloudMigrations, AnAgentCannotTakeBackWhatTheCloudHasVoted) {
  under_way(1, 1);
  EXPECT_EQ(vote("release", 1), Decision::released);
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::aborted);
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::in_doubt);
  EXPECT_EQ(resolve(1), Decision::released);
}

TEST_F(CloudMigrations, AnOwnedInstanceOutweighsTheCloudsAbortedVote) {
  under_way(1, 1);
  EXPECT_EQ(resolve(1), Decision::aborted);
  a1.report.instances.clear();
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::completed);
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::moved) << "source and destination are two of three";
}

// ---- fences

TEST_F(CloudMigrations, InDoubtUntilAPersonFencesTheDestination) {
  under_way(1, 1);
  EXPECT_EQ(resolve(1), Decision::aborted);
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::in_doubt);
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::in_doubt);
  ASSERT_TRUE(fence(a, 1, 1, MigrationRole::source));
  a.restart();
  a1.sync();
  EXPECT_EQ(a1.desired.migrations.at(0).fence, Decision::aborted);
  EXPECT_EQ(fence(a, 1, 1, MigrationRole::destination).error().code, Errc::conflict) << "a person's word is given once";
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::aborted);
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::running);
}

TEST_F(CloudMigrations, AFenceOutranksTheVote) {
  under_way(1, 1);
  EXPECT_EQ(vote("release", 1), Decision::released);
  ASSERT_TRUE(fence(a, 1, 1, MigrationRole::source));
  EXPECT_EQ(resolve(1), Decision::aborted);
}

TEST_F(CloudMigrations, ALivingSourceThatMayRunItIsNotFenced) {
  under_way(1, 1);
  EXPECT_EQ(fence(a, 1, 1, MigrationRole::destination).error().code, Errc::conflict);
  sphere.advance(Seconds{20});
  ASSERT_TRUE(fence(a, 1, 1, MigrationRole::destination));
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::moved);
  // The dead host comes back: it is told before it is believed.
  a1.sync();
  EXPECT_EQ(a1.desired.migrations.at(0).fence, Decision::released);
  EXPECT_EQ(a1.desires(instance_id(1)), nullptr);
}

TEST_F(CloudMigrations, AnInstanceComesBackAlsoWhileADeadHostHasNotHeardThatItLeft) {
  under_way(1, 1);
  sphere.advance(Seconds{20});
  a2.sync();
  b1.report.instances.push_back({instance_id(1), InstanceState::running, false, 2, ""});
  b1.say(migration_id(1), MigrationRole::destination, MigrationPhase::completed);
  ASSERT_TRUE(fence(a, 1, 1, MigrationRole::destination));
  auto request = ticket_request(show(b, instance_id(1)).value(), 2);
  request.source_cloud = "cloud-b";
  request.destination_host = "a2";
  const auto grant = user<wire::TicketGrant>(a, "POST", "/v1/tickets", wire::encode(request));
  EXPECT_TRUE(grant) << grant.error().message;
}

TEST_F(CloudMigrations, TheDestinationsCloudTellsItsAgentOfAFence) {
  under_way(1, 1);
  EXPECT_TRUE(b1.desired.migrations.empty());
  ASSERT_TRUE(fence(b, 1, 1, MigrationRole::destination));
  b1.sync();
  ASSERT_EQ(b1.desired.migrations.size(), 1U);
  EXPECT_EQ(b1.desired.migrations[0].fence, Decision::released);
}

TEST_F(CloudMigrations, ADestinationFencedOffGivesItsRoomBack) {
  under_way(1, 1);
  ASSERT_TRUE(fence(b, 1, 1, MigrationRole::source));
  EXPECT_EQ(used_at_b(), 0U);
  b1.sync();
  EXPECT_EQ(b1.desires(instance_id(1)), nullptr);
  EXPECT_EQ(b1.desired.migrations.at(0).fence, Decision::aborted);
}

// ---- orders

TEST_F(CloudMigrations, OneAtATimeAndOnlyOfARunningInstance) {
  const auto instance = under_way(1, 1);
  const auto grant = ticket(ticket_request(instance, 2));
  EXPECT_EQ(grant.error().code, Errc::conflict);
  wire::MigrateRequest second;
  second.migration = migration_id(2);
  second.destination_cloud = "cloud-b";
  second.grant = {"gwt1.x.y", {"cloud-b", "b1", "192.0.2.10", 7001, "b1.cloud-b.godwit"}, 0};
  const auto order = [&](int number) {
    return user(a, "POST", "/v1/instances/" + instance_id(number) + "/migrate", wire::encode(second)).error().code;
  };
  EXPECT_EQ(order(1), Errc::conflict);
  EXPECT_EQ(user(a, "DELETE", "/v1/instances/" + instance_id(1)).error().code, Errc::conflict);
  EXPECT_EQ(user(a, "POST", "/v1/instances/" + instance_id(1) + "/stop").error().code, Errc::conflict);
  ASSERT_TRUE(run(a, run_request(2)));
  EXPECT_EQ(order(2), Errc::conflict) << "it is pending";
  EXPECT_EQ(order(3), Errc::not_found);
  second.destination_cloud = second.grant.destination.cloud = "cloud-c";
  second.grant.destination.certificate_name = "b1.cloud-c.godwit";
  EXPECT_EQ(order(1), Errc::conflict);
  second.grant.destination.ip = "metadata.example";
  EXPECT_EQ(order(1), Errc::invalid_argument);
}

TEST_F(CloudMigrations, CancelReachesTheSourcesAgent) {
  under_way(1, 1);
  const auto path = "/v1/migrations/" + migration_id(1) + "/cancel";
  EXPECT_EQ(user(b, "POST", path).error().code, Errc::conflict) << "the source cancels";
  ASSERT_TRUE(user(a, "POST", path));
  a.restart();
  a1.sync();
  EXPECT_TRUE(a1.desired.migrations.at(0).cancel);
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::aborted);
  EXPECT_EQ(user(a, "POST", path).error().code, Errc::conflict);
}

TEST_F(CloudMigrations, AreWatchedLineByLineToTheirEnd) {
  under_way(1, 1);
  auto request = CloudBench::as_user(alice_a, "GET", "/v1/migrations/" + migration_id(1));
  request.query["watch"] = "1";
  const auto response = a.ask(request);
  ASSERT_EQ(response.status, 200);
  ASSERT_TRUE(response.next_chunk);
  std::vector<std::string> lines;
  auto follow = [](std::function<sys::Task<Result<std::string>>()> next,
                   std::vector<std::string>* into) -> sys::Task<void> {
    for (;;) {
      const auto line = co_await next();
      if (!line || line->empty()) co_return;
      into->push_back(*line);
    }
  };
  bool ended = false;
  boost::asio::co_spawn(sphere.context, follow(response.next_chunk, &lines), [&](std::exception_ptr) { ended = true; });
  sphere.settle();
  EXPECT_EQ(lines.size(), 1U);
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::memory);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(wire::decode<wire::MigrationReport>(lines[1])->phase, MigrationPhase::memory);
  EXPECT_TRUE(lines[1].ends_with("\n"));
  sphere.advance(Seconds{11});
  EXPECT_EQ(lines.size(), 3U) << "a heartbeat";
  a1.say(migration_id(1), MigrationRole::source, MigrationPhase::aborted);
  EXPECT_TRUE(ended);
  EXPECT_EQ(wire::decode<wire::MigrationReport>(lines.back())->phase, MigrationPhase::aborted);
}

}  // namespace
}  // namespace godwit::api
