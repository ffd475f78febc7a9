#include "siblings/publisher.h"

#include "siblings/owner.h"
#include "sim/page_files.h"
#include "support/pages.h"

#include <gtest/gtest.h>

#include <set>

namespace godwit::siblings {
namespace {

class PublisherTest : public ::testing::Test {
 protected:
  PublisherTest() {
    TenantKey key;
    key.tenant = "alice";
    key.key.fill(std::byte{3});
    holder.set_tenants({key});
  }
  void keep(std::uint64_t first, std::uint64_t count, const std::string& tenant = "alice") {
    for (std::uint64_t i = first; i < first + count; ++i) {
      const auto page = testing::page_of(i);
      EXPECT_TRUE(store.append(store.domain(tenant), page, content::fingerprint_of(page)));
    }
  }
  // Whatever is due until then; how many digests were told meanwhile.
  std::size_t run_for(Nanos span) {
    const auto before = told.size();
    const auto until = now + span;
    while (now < until) now = std::min(publisher.step(now), until);
    return told.size() - before;
  }
  static content::Ring ring(std::vector<std::string> names) { return content::Ring(std::move(names)); }

  sim::PageFiles files;
  content::Store store{files, "/content", {}};
  Holder holder{store};
  std::vector<std::pair<std::string, PageDigest>> told;
  std::vector<std::pair<std::string, SketchTag>> told_alike;
  Publisher publisher{holder, [this](const std::string& owner, const Entries& entries) {
                        EXPECT_LE(entries.digests.size(), kDigestsLimit);
                        EXPECT_LE(entries.tags.size(), kTagsLimit);
                        for (const auto& each : entries.digests) told.emplace_back(owner, each);
                        for (const auto each : entries.tags) told_alike.emplace_back(owner, each);
                      }};
  TimePoint now{Seconds{100}};
};

TEST_F(PublisherTest, TellsEachOwnerWhatIsItsOnce) {
  publisher.set_ring(ring({"a1", "a2"}));
  keep(0, 500);
  EXPECT_EQ(run_for(Seconds{5}), 500U);
  for (const auto& [owner, digest] : told) EXPECT_EQ(publisher.ring().owner_of(digest), owner);
  EXPECT_TRUE(publisher.idle());
  EXPECT_EQ(run_for(Seconds{60}), 0U);
}

TEST_F(PublisherTest, LeavesRoomForWhatElseRuns) {
  publisher.set_ring(ring({"a1"}));
  keep(0, 8000);
  std::size_t digested = 0;
  for (int i = 0; i < 20; ++i) {
    digested += run_for(Millis{100});
    keep(10'000 + static_cast<std::uint64_t>(i), 1);  // something goes on
  }
  EXPECT_LE(digested, 2 * kBusyRate_bytes_per_s / kPage_bytes);
  EXPECT_GE(digested, 2 * kBusyRate_bytes_per_s / kPage_bytes * 8 / 10);
  EXPECT_GE(run_for(Seconds{2}), 3000U) << "quicker, once nothing does";
}

TEST_F(PublisherTest, WhatMovesToAnotherOwnerIsToldToThatOne) {
  publisher.set_ring(ring({"a1", "a2"}));
  keep(0, 1000);
  run_for(Seconds{5});
  told.clear();
  publisher.set_ring(ring({"a1", "a2", "a3"}));
  const auto moved = run_for(Seconds{5});
  EXPECT_GT(moved, 200U);
  EXPECT_LT(moved, 500U);
  for (const auto& [owner, digest] : told) EXPECT_EQ(owner, "a3");
  publisher.set_ring(ring({"a1", "a2"}));
  EXPECT_EQ(run_for(Seconds{5}), moved);
}

TEST_F(PublisherTest, AnOwnerThatLostItsWordsIsToldThemAgain) {
  publisher.set_ring(ring({"a1", "a2"}));
  keep(0, 1000);
  run_for(Seconds{5});
  told.clear();
  publisher.owe("a2");
  EXPECT_GT(run_for(Seconds{5}), 300U);
  for (const auto& [owner, digest] : told) EXPECT_EQ(owner, "a2");
}

TEST_F(PublisherTest, NowAndThenEverythingIsToldAgain) {
  publisher.set_ring(ring({"a1", "a2"}));
  keep(0, 1000);
  run_for(Seconds{5});
  EXPECT_EQ(run_for(kRefreshEvery), 1000U);
  EXPECT_EQ(run_for(kRefreshEvery + Seconds{1}), 1000U);
}

TEST_F(PublisherTest, TellsByWhatPagesAreAlikeToTheOwnersOfThat) {
  publisher.set_ring(ring({"a1", "a2"}));
  keep(0, 500);
  run_for(Seconds{5});
  EXPECT_EQ(told_alike.size(), 2 * 500U);
  std::set<SketchTag> tags;
  for (const auto& [owner, tag] : told_alike) {
    EXPECT_EQ(publisher.ring().owner_of(tag), owner);
    tags.insert(tag);
  }
  for (std::uint64_t i = 0; i < 500; ++i) {
    for (const auto tag : holder.tags_of("alice", content::sketch_of(testing::page_of(i)))) {
      EXPECT_TRUE(tags.contains(tag));
    }
  }
  told_alike.clear();
  run_for(kRefreshEvery + Seconds{1});
  for (const auto& [owner, tag] : told_alike) EXPECT_TRUE(tags.contains(tag)) << "the same, from what the store knows";
  EXPECT_EQ(told_alike.size(), tags.size());
  told_alike.clear();
  publisher.set_ring(ring({"a1", "a2", "a3"}));
  run_for(Seconds{5});
  EXPECT_GT(told_alike.size(), 200U);
  for (const auto& [owner, tag] : told_alike) EXPECT_EQ(owner, "a3");
}

TEST_F(PublisherTest, ATenantWithoutAKeyIsNotSpokenOf) {
  publisher.set_ring(ring({"a1"}));
  keep(0, 10, "bob");
  keep(100, 10);
  EXPECT_EQ(run_for(Seconds{5}), 10U);
  EXPECT_EQ(told_alike.size(), 20U);
  EXPECT_EQ(holder.tenants_held(), std::vector<std::string>{"alice"});
}

PageDigest digest(std::uint8_t number) {
  PageDigest out{};
  out[0] = out[15] = std::byte{number};
  return out;
}

TEST(Owner, BelievesTheLastWhoSaidSoUntilItIsAnotherProcessOrGone) {
  Owner owner;
  owner.tell("a1", {digest(1)});
  EXPECT_EQ(owner.holder_of(digest(1)), "") << "a stranger";
  owner.meet("a1", 7);
  owner.meet("a2", 8);
  owner.tell("a1", {digest(1), digest(2)});
  owner.tell("a2", {digest(2)});
  EXPECT_EQ(owner.holder_of(digest(1)), "a1");
  EXPECT_EQ(owner.holder_of(digest(2)), "a2");
  owner.withdraw("a1", {digest(2)});
  EXPECT_EQ(owner.holder_of(digest(2)), "a2") << "that was not its word";
  owner.meet("a1", 7);
  EXPECT_EQ(owner.holder_of(digest(1)), "a1");
  owner.meet("a1", 9);
  EXPECT_EQ(owner.holder_of(digest(1)), "") << "its store began anew";
  owner.tell_alike("a1", {11, 12});
  owner.tell_alike("a2", {12, 13});
  EXPECT_EQ(owner.holder_of(SketchTag{11}), "a1");
  EXPECT_EQ(owner.holder_of(SketchTag{12}), "a2");
  owner.depart("a2");
  EXPECT_EQ(owner.holder_of(digest(2)), "");
  EXPECT_EQ(owner.holder_of(SketchTag{13}), "");
  EXPECT_EQ(owner.holder_of(SketchTag{11}), "a1");
  owner.meet("a3", 1);
  EXPECT_EQ(owner.holder_of(digest(2)), "") << "the number is another's now";
}

}  // namespace
}  // namespace godwit::siblings
