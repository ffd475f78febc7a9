#include "overlay/backlog.h"

#include <gtest/gtest.h>

namespace godwit::overlay {
namespace {

constexpr PeerId kPeer = 7;
constexpr TimePoint kNow{Seconds{1000}};

ByteVector bytes_of(std::size_t size, unsigned value) { return ByteVector(size, static_cast<std::byte>(value)); }

TEST(Backlog, GivesBackInOrderWhatItKept) {
  Backlog backlog;
  for (unsigned i = 1; i <= 3; ++i) EXPECT_EQ(backlog.keep(kNow, kPeer, i, 1400, bytes_of(100, i)), 0U);
  EXPECT_FALSE(backlog.has(kPeer + 1));
  for (unsigned i = 1; i <= 3; ++i) {
    ASSERT_NE(backlog.front(kPeer), nullptr);
    EXPECT_EQ(backlog.front(kPeer)->bytes, bytes_of(100, i));
    EXPECT_EQ(backlog.front(kPeer)->records, i);
    backlog.pop(kPeer);
  }
  EXPECT_EQ(backlog.front(kPeer), nullptr);
  EXPECT_EQ(backlog.bytes(), 0U);
}

TEST(Backlog, OfAPeerTheOldestGo) {
  Backlog backlog;
  std::uint64_t lost = 0;
  for (unsigned i = 0; i < 40; ++i) lost += backlog.keep(kNow, kPeer, 1, 1400, bytes_of(60'000, i));
  EXPECT_LE(backlog.bytes(), Backlog::kMostOfAPeer);
  EXPECT_EQ(lost, 40 - Backlog::kMostOfAPeer / (60'000 + sizeof(Backlog::Piece)));
  EXPECT_EQ(backlog.front(kPeer)->bytes, bytes_of(60'000, static_cast<unsigned>(lost)));
}

TEST(Backlog, OfAllTogetherItHoldsSoMuch) {
  Backlog backlog;
  std::uint64_t lost = 0;
  for (PeerId peer = 1; peer <= 1000; ++peer) lost += backlog.keep(kNow, peer, 1, 1400, bytes_of(60'000, 0));
  EXPECT_LE(backlog.bytes(), Backlog::kMostOfAll);
  EXPECT_EQ(lost, 1000 - backlog.bytes() / (60'000 + sizeof(Backlog::Piece)));
  EXPECT_FALSE(backlog.has(1000));
}

TEST(Backlog, WhatWaitsTooLongIsGivenUp) {
  Backlog backlog;
  EXPECT_EQ(backlog.keep(kNow, kPeer, 2, 1400, bytes_of(100, 1)), 0U);
  EXPECT_EQ(backlog.keep(kNow + Seconds{3}, kPeer, 1, 1400, bytes_of(100, 2)), 0U);
  EXPECT_EQ(backlog.sweep(kNow + Backlog::kKeptFor + Seconds{1}), 2U);
  EXPECT_EQ(backlog.front(kPeer)->bytes, bytes_of(100, 2));
  EXPECT_EQ(backlog.sweep(kNow + Backlog::kKeptFor + Seconds{4}), 1U);
  EXPECT_FALSE(backlog.has(kPeer));
  EXPECT_EQ(backlog.bytes(), 0U);
}

}  // namespace
}  // namespace godwit::overlay
