#include "overlay/counters.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

PairKey pair_of(std::uint64_t number) {
  return {7, {0x026700000000ULL | number % 128}, {0x026700000000ULL | (128 + number / 128)}};
}

TEST(Counters, PairsThatSpeakInTurnAreCountedEach) {
  Counters counters;
  constexpr std::uint64_t kPairs = 5000;  // more than are remembered as recent
  for (std::size_t round = 1; round <= 3; ++round) {
    for (std::uint64_t i = 0; i < kPairs; ++i) counters.count(pair_of(i), round, 100 * (i + 1));
  }
  ASSERT_EQ(counters.pairs().size(), kPairs);
  for (std::uint64_t i = 0; i < kPairs; ++i) {
    EXPECT_EQ(counters.pairs().at(pair_of(i)).frames, 1 + 2 + 3) << i;
    EXPECT_EQ(counters.pairs().at(pair_of(i)).bytes, 300 * (i + 1)) << i;
  }
}

TEST(Counters, PairsBeyondTheMostShareOneKey) {
  Counters counters;
  for (std::size_t round = 0; round < 2; ++round) {
    for (std::uint64_t i = 0; i < Counters::kMostPairs + 10; ++i) counters.count(pair_of(i), 1, 100);
  }
  EXPECT_EQ(counters.pairs().size(), Counters::kMostPairs + 1);
  EXPECT_EQ(counters.pairs().at(PairKey{}).frames, 20U);
  EXPECT_EQ(counters.pairs().at(pair_of(3)).frames, 2U);
}

}  // namespace
}  // namespace godwit::overlay
