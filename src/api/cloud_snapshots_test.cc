// Snapshots as a cloud keeps them: who may ask for one, what its host is told and believed, and what stands in its way.
#include "support/two_clouds.h"
#include "wire/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::api {
namespace {

using testing::CloudBench;
using testing::instance_id;
using wire::SnapshotPhase;

const std::string kContent(64, 'c');

std::string snapshot_id(int number) { return fmt::format("snap-{:017x}", number); }

class CloudSnapshots : public testing::TwoClouds {
 protected:
  CloudSnapshots() {
    a.cloud().core().set_image_port(7444);
    running(1);
  }
  Result<wire::SnapshotView> take(int number, const std::string& name, int instance = 1) {
    return user<wire::SnapshotView>(a, "POST", "/v1/instances/" + instance_id(instance) + "/snapshot",
                                    wire::encode(wire::SnapshotRequest{snapshot_id(number), name}));
  }
  Errc refused(int number, const std::string& name, int instance = 1) {
    const auto taken = take(number, name, instance);
    EXPECT_FALSE(taken) << name;
    return taken ? Errc{} : taken.error().code;
  }
  void says(int number, SnapshotPhase phase, const std::string& image = {}, const std::string& problem = {}) {
    a1.report.snapshots = {{snapshot_id(number), phase, image, problem}};
    a1.sync();
  }
  wire::SnapshotView seen(int number) {
    const auto list = user<wire::SnapshotList>(a, "GET", "/v1/snapshots");
    EXPECT_TRUE(list);
    const auto found = std::ranges::find(list->snapshots, snapshot_id(number), &wire::SnapshotView::id);
    return found == list->snapshots.end() ? wire::SnapshotView{} : *found;
  }
  // As a host calls the routes by which images come.
  Result<wire::json::value> offer(const std::string& name) {
    return host(a, name, "/v1/image-contents", wire::encode(wire::ImageOffer{"{}", ""}));
  }
};

TEST_F(CloudSnapshots, ItsHostIsToldUntilTheImageHasItsName) {
  ASSERT_TRUE(take(1, "web-2"));
  ASSERT_TRUE(take(1, "web-2")) << "asked twice it is one";
  const auto told = a1.sync().snapshots;
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].id, snapshot_id(1));
  EXPECT_EQ(told[0].instance, instance_id(1));
  EXPECT_TRUE(a2.sync().snapshots.empty());
  says(1, SnapshotPhase::copying);
  EXPECT_EQ(seen(1).phase, SnapshotPhase::copying);
  says(1, SnapshotPhase::stored, kContent);
  EXPECT_EQ(seen(1).image, kContent);
  EXPECT_EQ(a1.sync().snapshots.size(), 1U) << "the host keeps the content until it is named";
  ASSERT_TRUE(a.cloud().snapshots().end(snapshot_id(1), {}));
  EXPECT_EQ(seen(1).phase, SnapshotPhase::done);
  EXPECT_TRUE(a1.sync().snapshots.empty());
  says(1, SnapshotPhase::failed, "", "too late");
  EXPECT_EQ(seen(1).phase, SnapshotPhase::done) << "what is over stays so";
}

TEST_F(CloudSnapshots, WhatAHostCanNotDoItsUserIsTold) {
  ASSERT_TRUE(take(1, "web-2"));
  says(1, SnapshotPhase::failed, "", "the host lacks room");
  EXPECT_EQ(seen(1).phase, SnapshotPhase::failed);
  EXPECT_EQ(seen(1).problem, "the host lacks room");
  EXPECT_TRUE(a1.sync().snapshots.empty());
  EXPECT_TRUE(take(2, "web-2")) << "the name is free again";
}

TEST_F(CloudSnapshots, OnlyTheTenantsOwnInstanceUnderAFreeName) {
  EXPECT_EQ(refused(1, "a b"), Errc::invalid_argument);
  EXPECT_EQ(refused(1, "web-2", 7), Errc::not_found);
  const cloud::User bob{"bob", {}, false};
  const auto others = a.cloud().snapshots().take(bob, instance_id(1), {snapshot_id(1), "web-2"});
  ASSERT_FALSE(others);
  EXPECT_EQ(others.error().code, Errc::not_found);
  ASSERT_TRUE(a.cloud().images().name_content({"alice", {}, false}, {"web", kContent, "", "m", "s"}));
  EXPECT_EQ(refused(1, "web"), Errc::conflict);
  ASSERT_TRUE(take(1, "web-2"));
  EXPECT_EQ(refused(1, "web-3"), Errc::conflict) << "the id is taken";
  EXPECT_EQ(refused(2, "web-3"), Errc::conflict) << "it is being copied";
  says(1, SnapshotPhase::storing);
  EXPECT_EQ(refused(2, "web-2"), Errc::conflict) << "the name is taken";
  EXPECT_TRUE(take(2, "web-3"));
  ASSERT_TRUE(user(a, "POST", "/v1/instances/" + instance_id(1) + "/stop"));
  EXPECT_EQ(refused(3, "web-4"), Errc::conflict) << "it is stopping";
  a1.obey();
  EXPECT_EQ(refused(3, "web-4"), Errc::conflict) << "another one is being taken";
  says(2, SnapshotPhase::storing);
  EXPECT_TRUE(take(3, "web-4")) << "it is stopped";
  EXPECT_TRUE(a.cloud().snapshots().list(bob)->snapshots.empty());
}

TEST_F(CloudSnapshots, OnlyAHostThatWasAskedMayBringContents) {
  ASSERT_FALSE(offer("a1"));
  EXPECT_EQ(offer("a1").error().code, Errc::denied);
  ASSERT_TRUE(take(1, "web-2"));
  EXPECT_EQ(offer("a1").error().code, Errc::unsupported) << "admitted; this bench keeps no images";
  EXPECT_EQ(offer("a2").error().code, Errc::denied);
  says(1, SnapshotPhase::stored, kContent);
  EXPECT_EQ(offer("a1").error().code, Errc::denied) << "it has brought it";
}

TEST_F(CloudSnapshots, AHostSpeaksForItsOwnAloneAndIsBelievedNoNonsense) {
  ASSERT_TRUE(take(1, "web-2"));
  a2.report.snapshots = {{snapshot_id(1), SnapshotPhase::failed, "", "not mine"}};
  a2.sync();
  EXPECT_EQ(seen(1).phase, SnapshotPhase::asked);
  says(1, SnapshotPhase::done);
  EXPECT_EQ(seen(1).phase, SnapshotPhase::asked);
  says(1, SnapshotPhase::stored, "../up");
  EXPECT_EQ(seen(1).phase, SnapshotPhase::asked);
  a1.report.snapshots.assign(wire::kSnapshotsPerHost + 1, {snapshot_id(1), SnapshotPhase::asked, "", ""});
  EXPECT_FALSE(a.sync(a1.report));
  a1.report.snapshots = {{"../up", SnapshotPhase::asked, "", ""}};
  EXPECT_FALSE(a.sync(a1.report));
}

TEST_F(CloudSnapshots, AnInstanceDoesNotMoveWhileItsDiskIsCopied) {
  const auto instance = show(a, instance_id(1)).value();
  const auto grant = ticket(ticket_request(instance, 1));
  ASSERT_TRUE(grant) << grant.error().message;
  ASSERT_TRUE(take(1, "web-2"));
  says(1, SnapshotPhase::copying);
  const auto moved = migrate(instance, 1, *grant);
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, Errc::conflict);
  EXPECT_TRUE(moved.error().message.contains("web-2")) << moved.error().message;
  says(1, SnapshotPhase::storing);
  ASSERT_TRUE(migrate(instance, 1, *grant)) << "the copy is whole";
  EXPECT_EQ(refused(2, "web-3"), Errc::conflict) << "it moves";
}

TEST_F(CloudSnapshots, AHostThatNeverComesBackHoldsNothingUpForever) {
  ASSERT_TRUE(take(1, "web-2"));
  sphere.advance(cloud::kSnapshotLimit + Seconds{1});
  ASSERT_TRUE(a.cloud().prune());
  EXPECT_EQ(seen(1).phase, SnapshotPhase::failed);
  EXPECT_TRUE(seen(1).problem.contains("a1")) << seen(1).problem;
}

}  // namespace
}  // namespace godwit::api
