#include "content/id_table.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::content {
namespace {

std::uint32_t hash_of(std::uint64_t number) {
  std::uint64_t x = number * 0x9e3779b97f4a7c15ULL;  // splitmix64
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return static_cast<std::uint32_t>(x >> 32U);
}

bool holds(const Candidates& found, std::uint64_t id) {
  return std::find(found.all().begin(), found.all().end(), id) != found.all().end();
}

template <class Table>
class IdTables : public ::testing::Test {};
using Both = ::testing::Types<IdTable<3>, IdTable<4>>;
TYPED_TEST_SUITE(IdTables, Both);

TYPED_TEST(IdTables, LoseNextToNothingAndTakeTenBytesAnEntryAtEverySize) {
  TypeParam table;
  std::uint64_t checked = 1000;
  for (std::uint64_t id = 1; id <= 200'000; ++id) {
    table.replace(hash_of(id), id, {1, id});
    if (id != checked) continue;
    checked += checked / 2;
    std::uint64_t lost = 0;
    for (std::uint64_t each = 1; each <= id; ++each)
      lost += holds(table.find(hash_of(each), {1, id + 1}), each) ? 0 : 1;
    EXPECT_LE(lost, id / 1000) << id;
    EXPECT_LE(table.bytes(), id * 10 + 1024) << id;
  }
}

TYPED_TEST(IdTables, WhatIsNoLongerAliveMakesRoomWithoutGrowth) {
  TypeParam table;
  constexpr std::uint64_t kAlive = 10'000;
  for (std::uint64_t id = 1; id <= 20 * kAlive; ++id) {
    table.replace(hash_of(id), id, {id < kAlive ? 1 : id - kAlive, id});
  }
  EXPECT_LE(table.bytes(), kAlive * 12);
  const Window alive{19 * kAlive + 1, 20 * kAlive + 1};
  std::uint64_t lost = 0;
  for (auto id = alive.first; id < alive.next; ++id) lost += holds(table.find(hash_of(id), alive), id) ? 0 : 1;
  EXPECT_LE(lost, kAlive / 1000);
  EXPECT_FALSE(holds(table.find(hash_of(1), alive), 1));
}

TYPED_TEST(IdTables, AreNotMadeToGrowByHashesChosenToCollide) {
  TypeParam table;
  for (std::uint64_t id = 1; id <= 100'000; ++id) {
    table.replace(static_cast<std::uint32_t>(1 + id % 500), id, {1, id});  // all at the front
    table.add(static_cast<std::uint32_t>(1 + id % 500), id, {1, id});
  }
  EXPECT_LE(table.bytes(), 10'000U);
}

TYPED_TEST(IdTables, ReplacingKeepsOneAddingAFew) {
  TypeParam table;
  for (std::uint64_t id = 1; id <= 10; ++id) table.replace(5, id, {1, id});
  EXPECT_EQ(table.find(5, {1, 11}).count, 1U);
  EXPECT_TRUE(holds(table.find(5, {1, 11}), 10));
  for (std::uint64_t id = 11; id <= 20; ++id) table.add(6, id, {1, id});
  EXPECT_EQ(table.find(6, {1, 21}).count, kMostCandidates);
  EXPECT_TRUE(holds(table.find(6, {1, 21}), 11)) << "the first that were added stay";
  table.replace(0, 21, {1, 21});
  EXPECT_TRUE(holds(table.find(0, {1, 22}), 21)) << "0 is a hash as any other";
}

TYPED_TEST(IdTables, IdsBeyondWhatAnEntryHoldsAreToldByTheWindow) {
  TypeParam table;
  constexpr std::uint64_t kFar = (1ULL << 40U) + 12'345;
  table.replace(7, kFar, {kFar - 1000, kFar});
  EXPECT_TRUE(holds(table.find(7, {kFar - 1000, kFar + 1}), kFar));
  EXPECT_EQ(table.find(7, {kFar + 1, kFar + 100}).count, 0U);
}

TYPED_TEST(IdTables, WhatIsForgottenMakesRoom) {
  TypeParam table;
  for (std::uint64_t id = 1; id <= 10'000; ++id) table.replace(hash_of(id), id, {1, id});
  const auto bytes = table.bytes();
  const Window alive{1, 10'001};
  table.forget_if(alive, [](std::uint64_t id) { return id % 2 == 0; });
  for (std::uint64_t id = 1; id <= 10'000; ++id)
    EXPECT_EQ(holds(table.find(hash_of(id), alive), id), id % 2 == 1) << id;
  for (std::uint64_t id = 10'001; id <= 14'000; ++id) table.replace(hash_of(id), id, {1, id});
  EXPECT_EQ(table.bytes(), bytes);
}

}  // namespace
}  // namespace godwit::content
