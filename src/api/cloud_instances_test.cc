// Instances over a cloud's API: what users ask, what hosts are told and report.
#include "support/two_clouds.h"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

using testing::CloudBench;
using testing::instance_id;
using testing::kNetwork;
using wire::InstanceState;

class CloudInstances : public testing::TwoClouds {};

TEST_F(CloudInstances, RunsWhatItsUserAsksForAndPinsWhatAGuestCannotChange) {
  const auto ran = run(a, run_request(1));
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_EQ(ran->state, InstanceState::pending);
  EXPECT_EQ(ran->host, "a1");
  EXPECT_EQ(ran->spec.machine_type, "pc-q35-7.2");
  EXPECT_EQ(ran->spec.cpu_model, "Nehalem");
  EXPECT_EQ(ran->spec.accelerator, "tcg");
  EXPECT_EQ(ran->spec.image_sha256, testing::kImageSha);
  a1.obey();
  const auto view = show(a, instance_id(1));
  EXPECT_EQ(view->state, InstanceState::running);
  EXPECT_TRUE(view->ready);
  EXPECT_EQ(view->location_version, 1U);
  EXPECT_EQ(view->host_key, CloudBench::key_of("a1"));
}

TEST_F(CloudInstances, ANetworkDeviceHasAQueuePairForEachVcpuWhereTheHostGivesThem) {
  a1.report.capacity.memory_mib = a2.report.capacity.memory_mib = 8192;
  a1.report.queue_pairs = wire::kMostQueuePairs;
  a1.sync();
  a2.sync();  // an agent of before, which says nothing and gives one
  for (const auto& [number, host, type, pairs] :
       {std::tuple(1, "a1", "t3.nano", 1U), std::tuple(2, "a1", "t3.small", 2U), std::tuple(3, "a2", "t3.small", 1U)}) {
    auto asked = run_request(number, host);
    asked.type = type;
    const auto ran = run(a, asked);
    ASSERT_TRUE(ran) << ran.error().message;
    EXPECT_EQ(ran->spec.queue_pairs, pairs) << host << " " << type;
  }
}

TEST_F(CloudInstances, AskingTwiceMakesOneInstance) {
  ASSERT_TRUE(run(a, run_request(1)));
  ASSERT_TRUE(run(a, run_request(1)));
  EXPECT_EQ(user<wire::InstanceList>(a, "GET", "/v1/instances")->instances.size(), 1U);
  auto other = run_request(1);
  other.type = "t3.pico";
  EXPECT_EQ(run(a, other).error().code, Errc::conflict);
}

TEST_F(CloudInstances, SpreadOverHostsUntilTheyAreFull) {
  std::map<std::string, int> hosts;
  for (int i = 1; i <= 8; ++i) {
    const auto ran = run(a, run_request(i));
    ASSERT_TRUE(ran) << ran.error().message;
    ++hosts[ran->host];
  }
  EXPECT_EQ(hosts["a1"], 4);
  EXPECT_EQ(hosts["a2"], 4);
  const auto refused = run(a, run_request(9));
  EXPECT_EQ(refused.error().code, Errc::exhausted);
  EXPECT_NE(refused.error().message.find("a1: 0 of 512 MiB memory free"), std::string::npos) << refused.error().message;
  EXPECT_EQ(show(a, instance_id(9)).error().code, Errc::not_found);
}

TEST_F(CloudInstances, AFullQuotaIsRefusedAndLeavesNothingBehind) {
  const auto token = a.add_user("bob", {1, 40, 65536});
  auto network = TwoClouds::network();
  network.id = "net-00000000000000002";
  network.vni = 78;
  ASSERT_TRUE(a.told(CloudBench::as_user(token, "PUT", "/v1/networks/" + network.id, wire::encode(network))));
  auto request = run_request(1);
  request.interface.network = network.id;
  const auto ask = [&](const wire::RunInstanceRequest& what) {
    return a.told<wire::InstanceView>(CloudBench::as_user(token, "POST", "/v1/instances", wire::encode(what)));
  };
  ASSERT_TRUE(ask(request));
  request.id = instance_id(2);
  request.interface.mac = "02:67:00:00:00:99";
  request.interface.ip = "10.77.0.99";
  const auto refused = ask(request);
  EXPECT_EQ(refused.error().code, Errc::exhausted);
  EXPECT_EQ(refused.error().message,
            "run instance " + instance_id(2) + ": tenant bob: the quota of 1 instances is full (1 used, 1 more asked)");
  const auto view = a.told<wire::CloudView>(CloudBench::as_user(token, "GET", "/v1/cloud"));
  EXPECT_EQ(view->used.instances, 1U);
}

TEST_F(CloudInstances, TenantsSeeNothingOfEachOther) {
  running(1);
  const auto mallory = a.add_user("mallory");
  const auto ask = [&](std::string method, std::string path, std::string body = "{}") {
    return a.ask(CloudBench::as_user(mallory, std::move(method), std::move(path), std::move(body))).status;
  };
  const auto path = "/v1/instances/" + instance_id(1);
  EXPECT_EQ(ask("GET", path), 404);
  EXPECT_EQ(ask("DELETE", path), 404);
  EXPECT_EQ(ask("POST", path + "/stop"), 404);
  EXPECT_EQ(ask("POST", "/v1/instances", wire::encode(run_request(1))), 409);
  auto own = run_request(2);
  EXPECT_EQ(ask("POST", "/v1/instances", wire::encode(own)), 404) << "alice's network";
  EXPECT_EQ(ask("GET", "/v1/networks/" + kNetwork), 404);
  EXPECT_EQ(ask("DELETE", "/v1/networks/" + kNetwork), 404);
  EXPECT_EQ(ask("PUT", "/v1/networks/" + kNetwork, wire::encode(TwoClouds::network())), 409);
  EXPECT_EQ(a.told<wire::InstanceList>(CloudBench::as_user(mallory, "GET", "/v1/instances"))->instances.size(), 0U);
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::running);
}

TEST_F(CloudInstances, TerminatedWhenItsHostNoLongerHasIt) {
  running(1);
  ASSERT_TRUE(user(a, "DELETE", "/v1/instances/" + instance_id(1)));
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::shutting_down);
  // A report from before it heard of that says nothing about it.
  auto early = a1.report;
  early.instances.clear();
  ASSERT_TRUE(a.sync(early));
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::shutting_down);
  a.restart();
  a1.obey();
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::terminated);
  EXPECT_EQ(a1.desires(instance_id(1)), nullptr);
  EXPECT_EQ(user<wire::CloudView>(a, "GET", "/v1/cloud")->used.instances, 0U);
  EXPECT_TRUE(user(a, "DELETE", "/v1/instances/" + instance_id(1))) << "asking twice is asking once";
  EXPECT_EQ(user(a, "POST", "/v1/instances/" + instance_id(1) + "/start").error().code, Errc::conflict);
}

TEST_F(CloudInstances, StopsAndStarts) {
  running(1);
  const auto path = "/v1/instances/" + instance_id(1);
  EXPECT_EQ(user<wire::InstanceView>(a, "POST", path + "/stop")->state, InstanceState::stopping);
  a1.obey();
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::stopped);
  EXPECT_EQ(user<wire::InstanceView>(a, "POST", path + "/start")->state, InstanceState::pending);
  a1.obey();
  EXPECT_EQ(show(a, instance_id(1))->state, InstanceState::running);
}

TEST_F(CloudInstances, OfASilentHostShowThatAndStayWhereTheyAre) {
  running(1);
  sphere.advance(Seconds{20});
  a2.sync();
  EXPECT_EQ(show(a, instance_id(1))->problem, "host a1 has not been heard from for 20 s");
  EXPECT_EQ(show(a, instance_id(1))->host, "a1");
  const auto next = run(a, run_request(2));
  EXPECT_EQ(next->host, "a2") << "nothing new is placed on a silent host";
  a.restart();
  EXPECT_EQ(show(a, instance_id(1))->problem, "host a1 has not been heard from for 20 s");
  a1.sync();
  EXPECT_EQ(show(a, instance_id(1))->problem, "");
}

TEST_F(CloudInstances, AnUnknownOneIsLeftAloneAndShownAndADeadOneIsRemoved) {
  a1.report.instances.push_back({instance_id(77), InstanceState::running, true, 1, ""});
  a1.sync();
  EXPECT_EQ(a1.desires(instance_id(77)), nullptr);
  const auto hosts = user<wire::HostList>(a, "GET", "/v1/hosts");
  EXPECT_EQ(hosts->hosts[0].problem, "has instances that are not its own: " + instance_id(77));
  a1.report.instances.clear();

  running(1);
  auto relic = *a1.instance(instance_id(1));
  ASSERT_TRUE(user(a, "DELETE", "/v1/instances/" + instance_id(1)));
  a1.obey();
  a1.report.instances.push_back(relic);  // its host comes back from an old backup
  a1.sync();
  ASSERT_NE(a1.desires(instance_id(1)), nullptr);
  EXPECT_EQ(a1.desires(instance_id(1))->state, wire::DesiredInstanceState::absent);
}

TEST_F(CloudInstances, AnAddressIsGivenOnce) {
  running(1);
  auto same_ip = run_request(2);
  same_ip.interface.ip = run_request(1).interface.ip;
  EXPECT_EQ(run(a, same_ip).error().code, Errc::conflict);
}

TEST_F(CloudInstances, RefusesWhatMakesNoSense) {
  auto bad = run_request(1);
  bad.type = "t9.giant";
  EXPECT_EQ(run(a, bad).error().code, Errc::not_found);
  bad = run_request(1);
  bad.image = "windows";
  EXPECT_EQ(run(a, bad).error().code, Errc::not_found);
  bad = run_request(1);
  bad.name = "Not A Label";
  EXPECT_EQ(run(a, bad).error().code, Errc::invalid_argument);
  bad = run_request(1);
  bad.id = "../../etc/passwd";
  EXPECT_EQ(run(a, bad).error().code, Errc::invalid_argument);
  bad = run_request(1);
  bad.user_data = std::string(300UL * 1024, 'x');
  EXPECT_EQ(run(a, bad).error().code, Errc::invalid_argument);
  EXPECT_EQ(user<wire::CloudView>(a, "GET", "/v1/cloud")->used.instances, 0U);
}

}  // namespace
}  // namespace godwit::api
