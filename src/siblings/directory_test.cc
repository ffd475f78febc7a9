#include "siblings/directory.h"

#include "siblings/bringing.h"
#include "support/content_cloud.h"

namespace godwit::siblings {
namespace {

using testing::Cloud;
using testing::digest_of;
using testing::page_of;

const std::string kAlice = "alice";
const std::string kBob = "bob";

std::vector<PageDigest> digests_of(const std::string& tenant, std::uint64_t first, std::uint64_t count) {
  std::vector<PageDigest> out;
  for (std::uint64_t i = first; i < first + count; ++i) out.push_back(digest_of(tenant, i));
  return out;
}

std::size_t found(const std::vector<content::PageId>& ids) {
  return ids.size() - static_cast<std::size_t>(std::count(ids.begin(), ids.end(), 0U));
}

TEST(Directory, BringsWhatAnotherHostHoldsByWayOfItsOwners) {
  Cloud cloud(1, 3);
  for (const int host : {0, 1, 2}) cloud.tenants[host] = {kAlice};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 1000; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  EXPECT_EQ(cloud.node(0)->directory.use().held, 1000U);
  EXPECT_EQ(cloud.node(0)->directory.use().owned + cloud.node(1)->directory.use().owned +
                cloud.node(2)->directory.use().owned,
            1000U);

  const auto brought = cloud.bring(2, kAlice, digests_of(kAlice, 0, 1000));
  ASSERT_EQ(found(brought->ids), 1000U);
  EXPECT_LT(brought->took, Millis{50});
  ByteVector page(kPage_bytes);
  auto& store = cloud.node(2)->store;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(store.read(store.domain(kAlice), brought->ids[i], page).has_value());
    EXPECT_EQ(page, page_of(i));
  }
  EXPECT_EQ(store.next(), 1001U) << "each of them once";
}

TEST(Directory, FindsWhatItHoldsItselfWithoutAnybody) {
  Cloud cloud(1, 1);
  cloud.tenants[0] = {kAlice};
  cloud.tell_all();
  cloud.node(0)->keep(kAlice, 7);
  cloud.settle();
  const auto brought = cloud.bring(0, kAlice, digests_of(kAlice, 7, 2));
  EXPECT_EQ(brought->ids, (std::vector<content::PageId>{1, 0}));
}

TEST(Directory, WhatWasBroughtIsFoundHereAtOnceAndTellsItsOwnersLater) {
  Cloud cloud(1, 3);
  for (const int host : {0, 1, 2}) cloud.tenants[host] = {kAlice};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 20; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  const auto first = cloud.bring(1, kAlice, digests_of(kAlice, 0, 20));
  const auto again = cloud.bring(1, kAlice, digests_of(kAlice, 0, 20));
  EXPECT_EQ(first->ids, again->ids);
  EXPECT_EQ(again->took, Nanos{0});
  cloud.settle();
  cloud.crash(0);
  const auto third = cloud.bring(2, kAlice, digests_of(kAlice, 0, 20));
  std::size_t owned_by_the_dead = 0;
  const content::Ring ring({Cloud::name(0), Cloud::name(1), Cloud::name(2)});
  for (const auto& each : digests_of(kAlice, 0, 20)) owned_by_the_dead += ring.owner_of(each) == Cloud::name(0) ? 1 : 0;
  EXPECT_EQ(found(third->ids), 20 - owned_by_the_dead);
}

TEST(Directory, NothingOfAnotherTenantIsBrought) {
  Cloud cloud(1, 3);
  cloud.tenants[0] = {kAlice, kBob};
  cloud.tenants[1] = {kBob};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 50; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  // The digests themselves have leaked; the key has not.
  const auto stolen = digests_of(kAlice, 0, 50);
  EXPECT_EQ(found(cloud.bring(1, kBob, stolen)->ids), 0U) << "held, but not of that tenant";
  EXPECT_EQ(found(cloud.bring(1, kAlice, stolen)->ids), 0U) << "no key, no proof";
  EXPECT_EQ(found(cloud.bring(0, kBob, stolen)->ids), 0U) << "not from its own store either";
  EXPECT_FALSE(cloud.node(1)->directory.key_of(kAlice).has_value());
  EXPECT_FALSE(cloud.node(1)->directory.may_know(kAlice));
}

content::Sketch sketch_of_changed(std::uint64_t number) {
  return content::sketch_of(godwit::testing::changed(page_of(number), 3, number));
}

TEST(Directory, BringsPagesThatAreLikeThoseThatAreAskedFor) {
  Cloud cloud(1, 3);
  for (const int host : {0, 1, 2}) cloud.tenants[host] = {kAlice};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 500; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  std::vector<content::Sketch> sketches;
  for (std::uint64_t i = 0; i < 600; ++i) sketches.push_back(sketch_of_changed(i));
  const auto brought = cloud.bring_alike(2, kAlice, sketches);
  EXPECT_LT(brought->took, Millis{50});
  EXPECT_GT(found(brought->ids), 450U);
  ByteVector page(kPage_bytes);
  auto& store = cloud.node(2)->store;
  for (std::uint64_t i = 0; i < 600; ++i) {
    if (brought->ids[i] == 0) continue;
    ASSERT_TRUE(store.read(store.domain(kAlice), brought->ids[i], page).has_value());
    EXPECT_EQ(page, page_of(i));
  }
  const auto again = cloud.bring_alike(2, kAlice, sketches);
  EXPECT_EQ(again->ids, brought->ids) << "they are here now";
  cloud.crash(0);
  const auto exact = cloud.bring(2, kAlice, {digest_of(kAlice, 7)});
  EXPECT_EQ(exact->ids[0], brought->ids[7]) << "and found by their digests";
}

TEST(Directory, NothingOfAnotherTenantIsBroughtAsAlike) {
  Cloud cloud(1, 3);
  cloud.tenants[0] = {kAlice, kBob};
  cloud.tenants[1] = {kBob};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 50; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  std::vector<content::Sketch> sketches;
  for (std::uint64_t i = 0; i < 50; ++i) sketches.push_back(content::sketch_of(page_of(i)));
  EXPECT_EQ(found(cloud.bring_alike(1, kBob, sketches)->ids), 0U) << "held, but not of that tenant";
  EXPECT_EQ(found(cloud.bring_alike(1, kAlice, sketches)->ids), 0U) << "no key, no tags, no proof";
  EXPECT_EQ(found(cloud.bring_alike(0, kBob, sketches)->ids), 0U) << "not from its own store either";
  EXPECT_EQ(found(cloud.bring_alike(0, kAlice, sketches)->ids), 50U);
}

TEST(Directory, ABringingOfPagesThatAreAlikeEndsInTimeWhateverItsSiblingsDo) {
  Cloud cloud(1, 3);
  for (const int host : {0, 1, 2}) cloud.tenants[host] = {kAlice};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 300; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  std::vector<content::Sketch> sketches;
  for (std::uint64_t i = 0; i < 300; ++i) sketches.push_back(content::sketch_of(page_of(i)));
  cloud.world.network().cut("a0", "a2");
  EXPECT_LE(cloud.bring_alike(2, kAlice, sketches)->took, kBringLimit);
  cloud.world.network().cut("a1", "a2");
  EXPECT_LE(cloud.bring_alike(2, kAlice, sketches)->took, kBringLimit);
}

TEST(Directory, AHostThatComesTakesOverItsShareAndOneThatGoesGivesItBack) {
  Cloud cloud(1, 2);
  for (const int host : {0, 1, 2}) cloud.tenants[host] = {kAlice};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 500; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  cloud.join(2);
  cloud.tell_all();
  cloud.settle();
  EXPECT_GT(cloud.node(2)->directory.use().owned, 80U);
  EXPECT_EQ(found(cloud.bring(2, kAlice, digests_of(kAlice, 0, 500))->ids), 500U);
  cloud.leave(2);
  cloud.tell_all();
  cloud.settle();
  EXPECT_EQ(found(cloud.bring(1, kAlice, digests_of(kAlice, 0, 500))->ids), 500U);
}

TEST(Directory, AnOwnerThatWasRestartedIsToldAgain) {
  Cloud cloud(1, 3);
  for (const int host : {0, 1, 2}) cloud.tenants[host] = {kAlice};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 500; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  cloud.crash(1);
  cloud.world.run_for(Seconds{1});
  cloud.start(1);
  cloud.tell(1);
  cloud.world.run_for(Seconds{5});
  EXPECT_EQ(found(cloud.bring(2, kAlice, digests_of(kAlice, 0, 500))->ids), 500U);
}

TEST(Directory, WhatAHolderHasEvictedIsWithdrawnWhenSomebodyAsks) {
  Cloud cloud(1, 3, content::StoreLimits{.disk_bytes = 128 * kPage_bytes, .index_bytes = 1 << 20});
  for (const int host : {0, 1, 2}) cloud.tenants[host] = {kAlice};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 100; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  for (std::uint64_t i = 1000; i < 1100; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  const auto& store = cloud.node(0)->store;
  ASSERT_GT(store.first(), 100U);
  EXPECT_EQ(cloud.node(0)->directory.use().held, store.next() - store.first());
  EXPECT_EQ(found(cloud.bring(2, kAlice, digests_of(kAlice, 0, 100))->ids), 0U);
  EXPECT_EQ(found(cloud.bring(2, kAlice, digests_of(kAlice, 1000, 100))->ids), store.next() - store.first());
}

TEST(Directory, ABringingEndsInTimeWhateverItsSiblingsDo) {
  Cloud cloud(1, 3);
  for (const int host : {0, 1, 2}) cloud.tenants[host] = {kAlice};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 300; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  EXPECT_EQ(found(cloud.bring(2, kAlice, digests_of(kAlice, 0, 100))->ids), 100U);
  cloud.world.network().cut("a0", "a2");
  const auto cut = cloud.bring(2, kAlice, digests_of(kAlice, 100, 100));
  EXPECT_EQ(found(cut->ids), 0U);
  EXPECT_LE(cut->took, kBringLimit);
  const auto left_alone = cloud.bring(2, kAlice, digests_of(kAlice, 100, 100));
  EXPECT_LE(left_alone->took, Millis{10}) << "one that did not answer is not waited for again at once";
  cloud.world.network().heal_all();
  cloud.world.run_for(Seconds{120});
  EXPECT_EQ(found(cloud.bring(2, kAlice, digests_of(kAlice, 100, 100))->ids), 100U);
}

TEST(Directory, ASlowLanBringsAsMuchAsItCanInTime) {
  Cloud cloud(1, 2);
  for (const int host : {0, 1}) cloud.tenants[host] = {kAlice};
  cloud.tell_all();
  for (std::uint64_t i = 0; i < 2000; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.settle();
  cloud.world.network().set_link(testing::kCloud, testing::kCloud, {Millis{1}, 12'500'000});
  const auto brought = cloud.bring(1, kAlice, digests_of(kAlice, 0, 2000));
  EXPECT_LE(brought->took, kBringLimit);
  EXPECT_GT(found(brought->ids), 700U);
  EXPECT_LT(found(brought->ids), 2000U);
  const auto again = cloud.bring(1, kAlice, digests_of(kAlice, 0, 10));
  EXPECT_EQ(found(again->ids), 10U) << "what has come was kept";
}

TEST(Directory, MayKnowOnlyWhatSomebodyHolds) {
  Cloud cloud(1, 1);
  auto& directory = cloud.node(0)->directory;
  auto key = testing::key_of(kAlice);
  key.held = false;
  directory.set({{}, {key}});
  EXPECT_TRUE(directory.key_of(kAlice).has_value());
  EXPECT_FALSE(directory.may_know(kAlice));
  cloud.node(0)->keep(kAlice, 1);
  cloud.settle();
  EXPECT_TRUE(directory.may_know(kAlice)) << "this host does";
  EXPECT_EQ(directory.tenants_held(), std::vector<std::string>{kAlice});
  directory.set({{}, {}});
  EXPECT_FALSE(directory.may_know(kAlice));
}

}  // namespace
}  // namespace godwit::siblings
