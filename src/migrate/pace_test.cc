#include "migrate/pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace godwit::migrate {
namespace {

using Micros = std::chrono::microseconds;

constexpr std::size_t kBatch_bytes = 1UL << 20U;

void note(Pace& pace, int batches, Nanos encoding, Nanos writing) {
  for (int i = 0; i < batches; ++i) pace.note(encoding, writing, kBatch_bytes, kBatch_bytes / 2);
}

// A host and a link: what a batch takes to look through, and to be sent.
struct Pair {
  Nanos looking{Millis{1}};
  Nanos sending_all{Millis{1}};    // of a batch as it is
  Nanos sending_batch{Millis{1}};  // of what is left of it
  Nanos compressing{};             // beside looking, where that is asked for
  Nanos encoding(const Pace& pace) const {
    if (pace.passes()) return {};
    return pace.effort().level == 0 ? looking : looking + compressing;
  }
  // How much of the next gibibyte passes as it is.
  double passing(Pace& pace) const {
    double passed = 0;
    for (int i = 0; i < 1024; ++i) {
      if (pace.passes()) ++passed;
      pace.note(encoding(pace), pace.passes() ? sending_all : sending_batch, kBatch_bytes, kBatch_bytes / 2);
    }
    return passed / 1024;
  }
};

TEST(Pace, BeginsInTheMiddle) {
  const auto effort = Pace().effort();
  EXPECT_TRUE(effort.look && effort.similar);
  EXPECT_GT(effort.level, 0);
}

TEST(Pace, ASlowLinkIsWorthAllEffort) {
  Pace pace;
  note(pace, 100, Millis{1}, Millis{50});
  EXPECT_TRUE(pace.effort().look && pace.effort().similar);
  EXPECT_EQ(pace.effort().level, 8);
}

TEST(Pace, AFastLinkIsNotHeldUp) {
  Pace pace;
  const Pair pair{Millis{10}, Millis{8}, Millis{1}};
  (void)pair.passing(pace);
  EXPECT_GT(pair.passing(pace), 0.9);
  EXPECT_EQ(pace.effort().level, 0);
}

// 40 ms away: a connection's window makes 105 MB/s at most. The encoder takes 33, and seems to take four times as long
// as it does.
TEST(Pace, ABusyHostSavesBytesWhereNoConnectionWouldBeFaster) {
  for (const auto& [encoding, keeps] : {std::pair{Millis{32}, true}, std::pair{Millis{48}, false}}) {
    Pace pace;
    pace.answered_after(Millis{90});
    pace.answered_after(Millis{40});
    note(pace, 1000, encoding, Millis{1});
    EXPECT_EQ(pace.effort().similar, keeps);
    if (keeps) {
      EXPECT_EQ(pace.effort().level, 1) << "and no more CPU than that takes";
    }
  }
}

TEST(Pace, NewContentThatLeavesAllIsKeptWhereNoConnectionWouldBeFaster) {
  Pace pace;
  pace.answered_after(Millis{40});
  for (int i = 0; i < 1000; ++i) pace.note(Millis{4}, Millis{1}, kBatch_bytes, kBatch_bytes);
  EXPECT_TRUE(pace.effort().keep && pace.effort().similar);
}

TEST(Pace, NextDoorItGetsOutOfTheWay) {
  Pace pace;
  pace.answered_after(Millis{4});
  const Pair pair{Millis{2}, Millis{1}, Millis{1}};
  (void)pair.passing(pace);
  EXPECT_GT(pair.passing(pace), 0.9);
}

TEST(Pace, LookingThatSavesMoreTimeThanItTakesGoesOn) {
  Pace pace;
  const Pair pair{Millis{3}, Millis{8}, Millis{1}};
  (void)pair.passing(pace);
  EXPECT_LT(pair.passing(pace), 0.05) << "but now and then it is tried";
}

// Little is done with new bytes but to send them: that most of the time goes into that says nothing of the link.
TEST(Pace, OnAFastLinkNewContentPasses) {
  Pace pace;
  const Pair pair{Micros{400}, Micros{1000}, Micros{1200}, Micros{3000}};
  (void)pair.passing(pace);
  EXPECT_GT(pair.passing(pace), 0.95);
}

TEST(Pace, TryingTheOtherWayCostsNextToNothing) {
  for (const auto& pair :
       {Pair{Micros{4000}, Micros{1000}, Micros{900}}, Pair{Micros{400}, Micros{1000}, Micros{50}}}) {
    Pace pace;
    (void)pair.passing(pace);
    const auto passed = pair.passing(pace);
    const auto looked = to_s(pair.looking + pair.sending_batch);
    const auto took = passed * to_s(pair.sending_all) + (1 - passed) * looked;
    EXPECT_LT(took, 1.02 * std::min(to_s(pair.sending_all), looked));
  }
}

TEST(Pace, AMachineThatPausesIsNoSlowLink) {
  Pace pace;
  const Pair pair{Micros{400}, Micros{1000}, Micros{1200}, Micros{3000}};
  (void)pair.passing(pace);
  for (int i = 0; i < 1024; ++i) {
    const Nanos pause = i % 16 == 0 ? Millis{20} : Millis{0};
    pace.note(pair.encoding(pace), pair.sending_batch + pause, kBatch_bytes, kBatch_bytes / 2);
  }
  EXPECT_GT(pair.passing(pace), 0.9);
}

TEST(Pace, ALinkThatBecomesSlowIsNoticedWhilePassing) {
  Pace pace;
  (void)Pair{Millis{10}, Millis{8}, Millis{1}}.passing(pace);
  (void)Pair{Millis{10}, Millis{80}, Millis{40}}.passing(pace);
  EXPECT_EQ(pace.effort().level, 8);
}

// 100 Mbit/s, and a core that shrinks 40 MB/s: each batch leaves a fifth.
TEST(Pace, WhereTheStreamIsMuchFasterThanTheLinkBytesAreWorthMoreThanTime) {
  Pace pace;
  for (int i = 0; i < 20; ++i) pace.note(Millis{12}, Millis{8}, kBatch_bytes, kBatch_bytes / 4);  // the link is seen
  const auto before = pace.effort().level;
  for (int i = 0; i < 200; ++i) pace.note(Millis{24}, Millis{1}, kBatch_bytes, kBatch_bytes / 5);
  EXPECT_GE(pace.effort().level, before);
}

TEST(Pace, PagesThatCostNothingSayNothingOfTheLink) {
  Pace pace;
  note(pace, 100, Millis{1}, Millis{50});
  for (int i = 0; i < 1000; ++i) pace.note(Millis{3}, Millis{0}, kBatch_bytes, 1000);
  EXPECT_EQ(pace.effort().level, 8) << "what comes after them is worth all effort still";
}

TEST(Pace, OneThatIsFixedNeverPasses) {
  Pace pace(Effort{false, false, 0});
  note(pace, 1000, Millis{10}, Millis{1});
  EXPECT_FALSE(pace.passes());
}

TEST(Pace, BetweenTheTwoNothingChanges) {
  Pace pace;
  const auto before = pace.effort().level;
  note(pace, 100, Millis{5}, Millis{5});
  EXPECT_EQ(pace.effort().level, before);
}

TEST(Pace, OneBatchThatIsSlowChangesNothing) {
  Pace pace;
  const auto before = pace.effort().level;
  note(pace, 3, Millis{100}, Millis{0});
  EXPECT_EQ(pace.effort().level, before);
}

TEST(Pace, ItFollowsALinkThatChanges) {
  Pace pace;
  note(pace, 100, Millis{10}, Millis{1});
  note(pace, 100, Millis{1}, Millis{50});
  EXPECT_EQ(pace.effort().level, 8);
}

// What is written first goes into the buffers of any link.
TEST(Pace, ALinkIsNotTakenForFastBeforeItCouldBeSeen) {
  Pace pace;
  std::uint64_t written = 0;
  bool passed_early = false;
  bool passed = false;
  for (int i = 0; i < 2000; ++i) {
    const auto left = pace.passes() ? kBatch_bytes : kBatch_bytes / 8;
    pace.note(pace.passes() ? Nanos{} : Nanos(Millis{5}), Nanos{}, kBatch_bytes, left, Millis{1});
    written += left;
    passed = passed || pace.passes();
    passed_early = passed_early || (pace.passes() && written < (16U << 20U));
  }
  EXPECT_FALSE(passed_early);
  EXPECT_TRUE(passed);
}

TEST(Pace, WhereNothingTakesTimeNothingChanges) {
  Pace pace;
  const auto before = pace.effort().level;
  note(pace, 100, Nanos{}, Nanos{});
  EXPECT_EQ(pace.effort().level, before);
}

}  // namespace
}  // namespace godwit::migrate
