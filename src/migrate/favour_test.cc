#include "migrate/favour.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

constexpr TimePoint kStart{Seconds{100}};
constexpr std::size_t kFull_bytes = 16UL << 20U;

wire::MigrationProgress writing(std::uint64_t bytes_per_s, std::uint32_t rounds = 3) {
  wire::MigrationProgress progress;
  progress.dirty_bytes_per_s = bytes_per_s;
  progress.rounds = rounds;
  return progress;
}
constexpr std::uint64_t kMuch = 3UL << 20U;
constexpr std::uint64_t kLittle = 100'000;

class FavourTest : public ::testing::Test {
 protected:
  std::size_t window(Favour::Member member, Nanos after = {}) {
    return favour_.window(member, kFull_bytes, kStart + after);
  }

  Favour favour_;
  Favour::Member calm_{favour_.enter()};
  Favour::Member busy_{favour_.enter()};
};

TEST_F(FavourTest, TheOthersAreSentOnInSmallStepsWhileABusyOneHasItsTurn) {
  favour_.note(calm_, writing(kLittle), false, kStart);
  favour_.note(busy_, writing(kMuch), true, kStart);
  EXPECT_EQ(window(busy_), kFull_bytes);
  EXPECT_EQ(window(calm_), Favour::kOthers_bytes);
  favour_.leave(busy_);
  EXPECT_EQ(window(calm_), kFull_bytes);
}

TEST_F(FavourTest, ACalmOneThatHasItsTurnTakesNothingFromTheOthers) {
  favour_.note(calm_, writing(kLittle), true, kStart);
  favour_.note(busy_, writing(kMuch), false, kStart);
  EXPECT_EQ(window(calm_), kFull_bytes);
  EXPECT_EQ(window(busy_), kFull_bytes);
}

TEST_F(FavourTest, NobodyYieldsBeforeTheBusyOnesMemoryHasCrossedOnce) {
  favour_.note(busy_, writing(kMuch, 1), true, kStart);
  EXPECT_EQ(window(calm_), kFull_bytes);
}

TEST_F(FavourTest, WhoMayPauseItselfDoesNotYield) {
  favour_.note(busy_, writing(kMuch), true, kStart);
  favour_.note(calm_, writing(kLittle), true, kStart);
  EXPECT_EQ(window(calm_), kFull_bytes);
}

TEST_F(FavourTest, NoGuestKeepsTheOthersBackForLong) {
  favour_.note(busy_, writing(kMuch), true, kStart);
  favour_.note(busy_, writing(kMuch), true, kStart + Seconds{29});
  EXPECT_EQ(window(calm_, Seconds{29}), Favour::kOthers_bytes);
  EXPECT_EQ(window(calm_, Seconds{30}), kFull_bytes);
}

TEST_F(FavourTest, OneThatIsOnNoListHasItsWindow) {
  favour_.note(busy_, writing(kMuch), true, kStart);
  EXPECT_EQ(window(0), kFull_bytes);
}

}  // namespace
}  // namespace godwit::migrate
