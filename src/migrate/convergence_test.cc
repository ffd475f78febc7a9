#include "migrate/convergence.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

wire::MigrationProgress round_of(std::uint32_t number, std::uint64_t rest_bytes) {
  wire::MigrationProgress progress;
  progress.rounds = number;
  progress.memory_remaining_bytes = rest_bytes;
  return progress;
}

TEST(Convergence, ShrinkingRoundsNeedNoHelp) {
  Convergence convergence;
  std::uint64_t rest = 1'000'000'000;
  for (std::uint32_t round = 1; round < 30; ++round, rest = rest * 7 / 10) {
    EXPECT_FALSE(convergence.needs_help(round_of(round, rest)));
    EXPECT_FALSE(convergence.needs_help(round_of(round, rest / 2))) << "the same round, being sent";
  }
}

TEST(Convergence, ThreeRoundsOfTheSameSizeNeedHelp) {
  Convergence convergence;
  EXPECT_FALSE(convergence.needs_help(round_of(1, 1'000)));
  EXPECT_FALSE(convergence.needs_help(round_of(2, 900)));
  EXPECT_FALSE(convergence.needs_help(round_of(3, 950)));
  EXPECT_TRUE(convergence.needs_help(round_of(4, 800)));
  EXPECT_FALSE(convergence.needs_help(round_of(5, 800))) << "counted anew";
}

TEST(Convergence, OneGoodRoundBreaksTheRow) {
  Convergence convergence;
  for (const auto& [round, rest] : {std::pair{1U, 1'000U}, {2U, 950U}, {3U, 940U}, {4U, 100U}, {5U, 95U}, {6U, 94U}}) {
    EXPECT_FALSE(convergence.needs_help(round_of(round, rest))) << round;
  }
}

}  // namespace
}  // namespace godwit::migrate
