// Sky and the clouds' real API and state together: that each means what the other says.
#include "crypto/host_record.h"
#include "overlay/location_claim.h"
#include "sky/sky.h"
#include "support/fake_http.h"
#include "support/memory_files.h"
#include "support/sky_world.h"
#include "support/two_clouds.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::api {
namespace {

using testing::CloudBench;
using testing::ObedientHost;
using wire::ClusterState;
using wire::MigrationPhase;
using wire::MigrationRole;

class SkyOverClouds : public ::testing::Test {
 protected:
  SkyOverClouds() {
    for (auto* bench : {&a, &b}) {
      bench->add_image("debian-12", testing::kImageSha);
      http.hosts[bench->name()] = [bench](sys::HttpRequest request) {
        return bench->router().handle(std::move(request));
      };
    }
    obey();
    start();
    for (auto* bench : {&a, &b}) {
      wire::Account account{bench->name(), "https://" + bench->name() + ":7443", bench->ca(), bench->add_user("alice")};
      const auto added = wait(sky->put_account(account));
      EXPECT_TRUE(added) << added.error().message;
    }
  }
  ~SkyOverClouds() override { end(); }

  void start() {
    sky = sky::Sky::open(runtime, {"/sky", {}}).value();
    sky->start();
  }
  void end() {
    auto stopped = sky->stop();
    bool done = false;
    auto stop = [](sys::Task<void> task, bool& flag) -> sys::Task<void> {
      co_await std::move(task);
      flag = true;
    };
    boost::asio::co_spawn(sphere.context, stop(std::move(stopped), done), boost::asio::detached);
    sphere.settle();
    EXPECT_TRUE(done);
    sky.reset();
  }

  template <class T>
  T wait(sys::Task<T> task) {
    std::optional<T> result;
    auto keep = [](sys::Task<T> inner, std::optional<T>& out) -> sys::Task<void> { out = co_await std::move(inner); };
    boost::asio::co_spawn(sphere.context, keep(std::move(task), result), boost::asio::detached);
    sphere.settle();
    EXPECT_TRUE(result) << "the task waits";
    return std::move(*result);
  }

  void obey() {
    for (auto* host : hosts) host->obey();
  }
  // Hosts do what they are told while sky and the clouds go on.
  bool until(const std::function<bool()>& holds, Seconds limit = Seconds{60}) {
    for (Millis passed{0}; passed < limit; passed += Millis{250}) {
      obey();
      carry_migrations();
      sphere.advance(Millis{250});
      if (holds()) return true;
    }
    return false;
  }

  // What the agents of both sides would do about each order, all at once.
  void carry_migrations() {
    for (auto* source : {&a1, &a2}) {
      for (const auto& order : source->desired.migrations) {
        if (carried.insert(order.id).second) carry(*source, order);
      }
    }
  }
  void carry(ObedientHost& source, const wire::MigrationOrder& order) {
    auto& destination = order.grant.destination.host == "b1" ? b1 : b2;
    const auto* given = source.desires(order.instance);
    ASSERT_NE(given, nullptr);
    const wire::RedeemRequest redeem{order.grant.ticket, "cloud-a", CloudBench::key_of(source.report.host), given->spec,
                                     1};
    const auto redeemed = b.told<wire::RedeemAnswer>(
        CloudBench::as_host(destination.report.host, "cloud-b", "/v1/agent/tickets/redeem", wire::encode(redeem)));
    ASSERT_TRUE(redeemed) << redeemed.error().message;
    const auto released = a.told<wire::DecisionAnswer>(
        CloudBench::as_host(source.report.host, "cloud-a", "/v1/agent/migrations/" + order.id + "/release"));
    ASSERT_TRUE(released) << released.error().message;
    destination.report.instances.push_back({order.instance, wire::InstanceState::running, true, 2, "",
                                            overlay::claim_text(redeemed->location_record, order.hand_offs).value()});
    destination.say(order.id, MigrationRole::destination, MigrationPhase::owned);
    destination.say(order.id, MigrationRole::destination, MigrationPhase::completed);
    std::erase_if(source.report.instances, [&](const auto& each) { return each.id == order.instance; });
    source.say(order.id, MigrationRole::source, MigrationPhase::completed);
  }

  ClusterState state() {
    const auto view = sky->cluster("demo");
    return view ? view->state : ClusterState::deleted;
  }
  std::string describe() {
    const auto view = sky->cluster("demo");
    return view ? wire::encode(*view) : view.error().message;
  }
  void create(std::uint32_t size) {
    wire::ClusterSpec spec;
    spec.name = "demo";
    spec.size = size;
    const auto created = wait(sky->create_cluster(spec));
    ASSERT_TRUE(created) << created.error().message;
    ASSERT_TRUE(until([&] { return state() == ClusterState::ready; })) << describe();
  }
  wire::MoveRequest to_b() {
    wire::MoveRequest request;
    request.to_cloud = "cloud-b";
    return request;
  }

  testing::Sphere sphere;
  CloudBench a{sphere, "cloud-a"};
  CloudBench b{sphere, "cloud-b"};
  ObedientHost a1{a, "a1"};
  ObedientHost a2{a, "a2"};
  ObedientHost b1{b, "b1"};
  ObedientHost b2{b, "b2"};
  std::vector<ObedientHost*> hosts{&a1, &a2, &b1, &b2};
  std::set<std::string> carried;
  testing::FakeHttp http{sphere.clock};
  testing::MemoryFiles files;
  testing::NoPageFiles page_files;
  testing::NoProcesses processes;
  testing::NoSockets sockets;
  testing::NoPeers peers;
  testing::NoTaps taps;
  sys::Runtime runtime{sphere.context.get_executor(),
                       sphere.clock,
                       sphere.random,
                       files,
                       page_files,
                       processes,
                       sockets,
                       peers,
                       http,
                       taps,
                       {}};
  std::unique_ptr<sky::Sky> sky;
};

TEST_F(SkyOverClouds, AClusterIsBornOnBothCloudsAndLeavesNothing) {
  create(4);
  const auto view = sky->cluster("demo").value();
  for (const auto& member : view.members) EXPECT_FALSE(member.host.empty()) << member.name;
  // Every host with a member knows where all members are, and believes the other cloud.
  obey();
  ASSERT_EQ(a1.desired.networks.size(), 1U);
  EXPECT_EQ(a1.desired.trusted.size(), 2U);
  for (const auto& member : a1.desired.networks[0].members) EXPECT_EQ(member.location.version, 1U) << member.name;
  EXPECT_EQ(a1.desired.networks[0].key, b1.desired.networks[0].key);

  // And with which key each of their hosts speaks, also when that becomes another one.
  for (const auto& key : {std::string(63, '0'), std::string(63, '1')}) {
    int number = 1;
    for (auto* host : hosts) host->report.overlay_key = key + std::to_string(number++);
    ASSERT_TRUE(until([&] {
      const auto& a_members = a1.desired.networks.at(0).members;
      return std::ranges::all_of(a_members, [&](const wire::Member& member) {
        const auto of = std::ranges::find_if(
            hosts, [&](const ObedientHost* host) { return host->report.host == member.location.host; });
        return of != hosts.end() && !member.location.record.empty() &&
               member.location.record == (*of)->desired.host_record &&
               to_hex(crypto::read_host_record(*crypto::statement_from_text(member.location.record))->key) ==
                   (*of)->report.overlay_key;
      });
    })) << key;
  }

  ASSERT_TRUE(sky->delete_cluster("demo"));
  ASSERT_TRUE(until([&] { return state() == ClusterState::deleted; })) << describe();
  obey();
  for (auto* host : hosts) {
    EXPECT_TRUE(host->desired.instances.empty());
    EXPECT_TRUE(host->desired.networks.empty());
    EXPECT_EQ(host->desired.trusted.size(), 1U) << "strangers are believed no longer";
  }
}

TEST_F(SkyOverClouds, AClusterMovesToTheOtherCloud) {
  create(4);
  const auto asked = sky->migrate_cluster("demo", to_b());
  ASSERT_TRUE(asked) << asked.error().message;
  ASSERT_EQ(asked->migrations.size(), 2U);
  for (const auto& each : asked->migrations) {
    ASSERT_TRUE(until([&] { return wire::is_final(sky->migration(each.id)->phase); })) << describe();
    EXPECT_EQ(sky->migration(each.id)->phase, MigrationPhase::completed) << sky->migration(each.id)->error;
  }
  ASSERT_TRUE(until([&] { return state() == ClusterState::ready; })) << describe();
  const auto moved = sky->cluster("demo");
  for (const auto& member : moved->members) EXPECT_EQ(member.cloud, "cloud-b");
  obey();
  const auto& members = b1.desired.networks.at(0).members;
  EXPECT_EQ(std::count_if(members.begin(), members.end(), [](const auto& each) { return each.location.version == 2; }),
            2);
  ASSERT_TRUE(sky->delete_cluster("demo"));
  EXPECT_TRUE(until([&] { return state() == ClusterState::deleted; })) << describe();
}

TEST_F(SkyOverClouds, AnyoneMayRestartAtAnyTime) {
  wire::ClusterSpec spec;
  spec.name = "demo";
  spec.size = 4;
  ASSERT_TRUE(wait(sky->create_cluster(spec)));
  for (int round = 0; round < 12; ++round) {
    sphere.advance(Millis{40});
    switch (round % 3) {
      case 0: a.restart(); break;
      case 1: b.restart(); break;
      default: end(); start();
    }
    if (round % 2) obey();
  }
  ASSERT_TRUE(until([&] { return state() == ClusterState::ready; })) << describe();
  std::size_t running = 0;
  for (auto* host : hosts) running += host->report.instances.size();
  EXPECT_EQ(running, 4U);
}

}  // namespace
}  // namespace godwit::api
