#include "image/press_pace.h"

#include <gtest/gtest.h>

namespace godwit::image {
namespace {

constexpr double kPiece_bytes = 65'536;

// A host that reads pieces, compresses them, and writes what is left to a link, which takes while the next is
// compressed.
class Host {
 public:
  // `left`: of what is compressed, at any level.
  Host(double link_mbit, double left) : link_bytes_per_s_(link_mbit * 125'000), left_(left) {}

  // So much of the image goes out; how fast, in bytes a second.
  double send(double mib) {
    const auto begun = now_;
    for (int piece = 0; piece < mib * 16; ++piece) {
      const auto level = pace_.level();
      const auto pressing = level == 0 ? 0 : press_s(level);
      now_ += pressing + kRest_s;
      const auto wire = kPiece_bytes * (level == 0 ? 1 : left_);
      link_free_ = std::max(link_free_, now_) + wire / link_bytes_per_s_;
      now_ = std::max(now_, link_free_ - kBuffer_s);
      pace_.note(at(now_), span(pressing), level != 0);
      pressing_ += pressing;
    }
    return mib * 1'048'576 / (now_ - begun);
  }
  void wait(double seconds) { now_ += seconds; }
  void set_link(double mbit) { link_bytes_per_s_ = mbit * 125'000; }
  [[nodiscard]] int level() const { return pace_.level(); }
  [[nodiscard]] double pressing_s() const { return pressing_; }
  [[nodiscard]] double now_s() const { return now_; }

 private:
  static constexpr double kRest_s = 60e-6;  // of a piece: to read, digest and encrypt it
  static constexpr double kBuffer_s = 1e-3;
  static double press_s(int level) { return level == 1 ? 200e-6 : level == 3 ? 400e-6 : 1e-3; }
  static TimePoint at(double seconds) { return TimePoint(span(seconds)); }
  static Nanos span(double seconds) { return Nanos(static_cast<std::int64_t>(seconds * 1e9)); }

  double link_bytes_per_s_;
  double left_;
  double now_{0};
  double link_free_{0};
  double pressing_{0};
  PressPace pace_;
};

TEST(PressPace, TriesHardWhereTheLinkIsSlow) {
  Host host(20, 0.4);
  const auto rate = host.send(64);
  EXPECT_EQ(host.level(), 6);
  EXPECT_GT(rate, 0.98 * 20 * 125'000 / 0.4);
}

TEST(PressPace, TriesHardWhereLittleIsAskedFor) {
  Host host(1000, 0.4);
  for (int i = 0; i < 200; ++i) {
    host.send(1);
    host.wait(0.2);
  }
  EXPECT_EQ(host.level(), 6);
}

TEST(PressPace, IsNotWaitedForOnAnyLinkThatItKeepsUpWith) {
  for (const double mbit : {50, 100, 200, 400, 800}) {
    Host host(mbit, 0.4);
    host.send(64);
    EXPECT_GT(host.send(256), 0.95 * mbit * 125'000 / 0.4) << mbit;
    EXPECT_GT(host.level(), 0) << mbit;
  }
}

TEST(PressPace, GetsOutOfTheWayOfALinkThatIsFaster) {
  Host host(10'000, 0.4);
  host.send(64);
  EXPECT_EQ(host.level(), 0);
  const auto before = host.pressing_s();
  const auto begun = host.now_s();
  EXPECT_GT(host.send(20'000), 0.95 * kPiece_bytes / 60e-6);
  EXPECT_LT(host.pressing_s() - before, 0.01 * (host.now_s() - begun));
}

TEST(PressPace, ComesBackWhenTheLinkIsSlowAgain) {
  Host host(10'000, 0.4);
  host.send(1024);
  ASSERT_EQ(host.level(), 0);
  host.set_link(100);
  host.send(16);
  EXPECT_GT(host.level(), 0);
  EXPECT_GT(host.send(64), 0.95 * 100 * 125'000 / 0.4);
}

TEST(PressPace, WhatDoesNotGetSmallerIsNoReasonToStayPlainOrToTryLess) {
  PressPace pace;
  auto now = TimePoint{};
  for (int piece = 0; piece < 1000; ++piece) {
    now += Millis{1};
    pace.note(now, Nanos{4'000}, false);
  }
  EXPECT_GE(pace.level(), 3);
}

}  // namespace
}  // namespace godwit::image
