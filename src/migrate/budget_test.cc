#include "migrate/budget.h"

#include "content/library.h"
#include "migrate/host_memory.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace godwit::migrate {
namespace {

TEST(Budget, WhatIsGivenBackIsThereAgain) {
  Budget budget(100);
  {
    auto share = budget.admit(40);
    ASSERT_TRUE(share);
    EXPECT_EQ(budget.free_bytes(), 60U);
    EXPECT_TRUE(share->hold(60));
    EXPECT_TRUE(share->hold(10));
    EXPECT_EQ(budget.free_bytes(), 90U);
    const Budget::Share moved = std::move(*share);
    EXPECT_EQ(moved.bytes(), 10U);
    EXPECT_EQ(budget.free_bytes(), 90U);
  }
  EXPECT_EQ(budget.free_bytes(), 100U);
}

TEST(Budget, AQuarterIsForNewcomers) {
  Budget budget(100);
  auto share = budget.admit(10);
  ASSERT_TRUE(share);
  EXPECT_TRUE(share->hold(75));
  EXPECT_FALSE(share->hold(76));
  EXPECT_EQ(share->bytes(), 75U) << "what it had it keeps";
  auto newcomer = budget.admit(25);
  EXPECT_TRUE(newcomer);
  EXPECT_FALSE(budget.admit(1));
  EXPECT_FALSE(newcomer->hold(26));
}

TEST(Budget, AShareThatMovesToAnotherGivesBackItsOwn) {
  Budget budget(100);
  auto first = *budget.admit(10);
  {
    auto second = *budget.admit(20);
    first = std::move(second);
  }
  EXPECT_EQ(budget.free_bytes(), 80U);
}

TEST(Budget, WhateverIsAskedForNeverIsMoreGivenThanThereIs) {
  std::mt19937_64 random(1);
  Budget budget(1000);
  std::vector<Budget::Share> shares;
  for (int i = 0; i < 10'000; ++i) {
    const auto bytes = static_cast<std::size_t>(random() % 300);
    if (random() % 3 == 0) {
      if (auto share = budget.admit(bytes)) shares.push_back(std::move(*share));
    } else if (!shares.empty()) {
      auto& share = shares[random() % shares.size()];
      if (random() % 4 == 0) {
        std::swap(share, shares.back());
        shares.pop_back();
      } else {
        (void)share.hold(bytes);
      }
    }
    std::size_t held = 0;
    for (const auto& each : shares) held += each.bytes();
    ASSERT_EQ(held + budget.free_bytes(), 1000U);
  }
}

// The table of docs/decisions/shrink.md.
TEST(HostMemory, TheLimitsComeToLessThan512MiB) {
  const MemoryLimits limits;
  constexpr std::size_t kStore = 98 * kMiB;
  constexpr std::size_t kTableThatGrows = 56 * kMiB;
  constexpr std::size_t kScratch = 14 * kMiB;
  EXPECT_LE(limits.connections_bytes + limits.places_bytes + limits.rapports_bytes + content::kImageIndexes_bytes +
                kStore + kTableThatGrows + kScratch,
            512 * kMiB);
}

TEST(HostMemory, ManyConnectionsFindRoomAndTheFirstHaveMore) {
  HostMemory memory;
  std::vector<SourceRoom> sources;
  while (auto room = SourceRoom::take(memory)) sources.push_back(std::move(*room));
  EXPECT_GE(sources.size(), 48U);
  EXPECT_GT(sources.front().waiting_most(), sources.back().waiting_most());
  sources.clear();
  EXPECT_EQ(memory.connections.free_bytes(), memory.limits.connections_bytes);
  std::vector<DestinationRoom> destinations;
  while (auto room = DestinationRoom::take(memory)) destinations.push_back(std::move(*room));
  EXPECT_GE(destinations.size(), 24U);
  EXPECT_EQ(destinations.front().window(), kWindowMost_bytes);
  EXPECT_EQ(destinations.back().window(), kWindowLeast_bytes);
}

TEST(HostMemory, AConnectionMayAlwaysKeepOneBatch) {
  HostMemory memory({.connections_bytes = 20 * kMiB});
  std::vector<SourceRoom> rooms;
  while (auto room = SourceRoom::take(memory)) rooms.push_back(std::move(*room));
  for (auto& each : rooms) {
    EXPECT_TRUE(each.may_keep_more(0));
    EXPECT_FALSE(each.may_keep_more(2 * kMiB)) << "all is given away";
    EXPECT_FALSE(each.take_ahead(kMiB));
  }
  while (rooms.size() > 1) rooms.pop_back();
  EXPECT_TRUE(rooms.front().may_keep_more(2 * kMiB)) << "the others have ended";
}

}  // namespace
}  // namespace godwit::migrate
