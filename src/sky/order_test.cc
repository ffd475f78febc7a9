#include "sky/order.h"

#include <gtest/gtest.h>

namespace godwit::sky {
namespace {

using Ids = std::vector<std::string>;

std::vector<Traveller> travellers(std::size_t count) {
  std::vector<Traveller> all;
  for (std::size_t i = 0; i < count; ++i) {
    Traveller each;
    each.id = std::to_string(i);
    each.from = "a";
    each.to = "b";
    all.push_back(each);
  }
  return all;
}

TEST(OrderOfMoves, OneGoesAheadAndTheRestWhenItsMemoryHasCrossedOnce) {
  auto all = travellers(6);
  EXPECT_EQ(who_sets_out(all, 4), Ids{"0"});
  all[0].course = Course::first_round;
  EXPECT_EQ(who_sets_out(all, 4), Ids{});
  all[0].course = Course::crossed;
  EXPECT_EQ(who_sets_out(all, 4), (Ids{"1", "2", "3"}));
  all[0].course = Course::arrived;
  EXPECT_EQ(who_sets_out(all, 4), (Ids{"1", "2", "3", "4"}));
}

TEST(OrderOfMoves, ASeedThatFailsIsFollowedByAnother) {
  auto all = travellers(3);
  all[0].course = Course::failed;
  EXPECT_EQ(who_sets_out(all, 4), Ids{"1"});
}

TEST(OrderOfMoves, EachWayHasASeedOfItsOwn) {
  auto all = travellers(4);
  all[2].from = "c";
  all[3].from = "c";
  EXPECT_EQ(who_sets_out(all, 4), (Ids{"0", "2"}));
}

TEST(OrderOfMoves, TheWayBackNeedsNoSeed) {
  auto all = travellers(3);
  auto gone = all[0];
  gone.id = "before";
  gone.course = Course::arrived;
  std::swap(gone.from, gone.to);
  all.push_back(gone);
  EXPECT_EQ(who_sets_out(all, 2), (Ids{"0", "1"}));
}

TEST(OrderOfMoves, WhoWritesFastGoesLast) {
  auto all = travellers(4);
  all[0].dirty_bytes_per_s = 5'000'000;
  all[1].dirty_bytes_per_s = 1'000;
  EXPECT_EQ(who_sets_out(all, 4), Ids{"2"});
  all[2].course = Course::arrived;
  EXPECT_EQ(who_sets_out(all, 4), (Ids{"3", "1", "0"}));
  EXPECT_EQ(who_sets_out(all, 1), Ids{"3"});
}

TEST(OrderOfMoves, WhereNothingIsSharedNobodyWaits) {
  auto all = travellers(3);
  for (auto& each : all) each.shares = false;
  EXPECT_EQ(who_sets_out(all, 2), (Ids{"0", "1"}));
}

TEST(OrderOfMoves, WhoLeavesTheSameHostGoesToTheSameHost) {
  auto all = travellers(5);
  EXPECT_EQ(host_of_companions(all, "a", "a1", "b"), "");
  const auto set_out = [&](std::size_t which, const std::string& from_host, const std::string& to_host) {
    all[which].course = Course::crossed;
    all[which].from_host = from_host;
    all[which].to_host = to_host;
  };
  set_out(0, "a1", "b1");
  set_out(1, "a2", "b2");
  EXPECT_EQ(host_of_companions(all, "a", "a1", "b"), "b1");
  EXPECT_EQ(host_of_companions(all, "a", "a2", "b"), "b2");
  EXPECT_EQ(host_of_companions(all, "a", "a3", "b"), "");
  EXPECT_EQ(host_of_companions(all, "a", "a1", "c"), "") << "another cloud";
  set_out(2, "a1", "b3");  // b1 was full
  EXPECT_EQ(host_of_companions(all, "a", "a1", "b"), "b3");
  all[2].course = Course::failed;
  EXPECT_EQ(host_of_companions(all, "a", "a1", "b"), "b1");
  all[0].shares = false;
  EXPECT_EQ(host_of_companions(all, "a", "a1", "b"), "");
}

// Whatever happens, as long as somebody waits and nobody is under way, somebody sets out.
TEST(OrderOfMoves, NobodyWaitsForNothing) {
  for (unsigned state = 0; state < 5 * 5 * 5; ++state) {
    auto all = travellers(3);
    bool waits = false;
    bool busy = false;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto course = static_cast<Course>(1 + state / (i == 0 ? 1U : i == 1 ? 5U : 25U) % 5);
      all[i].course = course;
      waits = waits || course == Course::waiting;
      busy = busy || course == Course::first_round || course == Course::crossed;
    }
    if (!waits || busy) continue;
    EXPECT_FALSE(who_sets_out(all, 1).empty()) << state;
  }
}

}  // namespace
}  // namespace godwit::sky
