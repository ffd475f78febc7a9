// Who is answered when many ask, who may introduce itself, and what the parts keep.
#include "overlay/session_test_host.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kStart{Seconds{1000}};

// First messages of strangers who know our key, each from an address of its own.
class Flood {
 public:
  explicit Flood(const crypto::PublicKey& victim) {
    for (unsigned i = 0; i < 8; ++i) {
      SessionHost stranger(100 + i, i);
      stranger.sessions.begin(kStart, stranger.sessions.add({victim, {}, Profile::native}));
      messages_.push_back(stranger.sessions.take_out().at(0).bytes);
    }
  }
  Opened hit(TimePoint now, Sessions& sessions, unsigned source) {
    auto bytes = messages_[source % messages_.size()];
    return sessions.on_datagram(now, endpoint_of(1000 + source), bytes);
  }

 private:
  std::vector<ByteVector> messages_;
};

TEST(SessionLimits, UnderAFloodEachStrangerGetsACookieAndAPeerItsSession) {
  SessionHost a(1, 11);
  SessionHost b(2, 12);
  const auto a_knows_b = a.sessions.add(spec_of(2));
  ASSERT_NE(b.sessions.add(spec_of(1)), kNobody);
  Flood flood(b.sessions.public_key());
  TimePoint now = kStart;
  std::map<Refusal, unsigned> refused;
  for (unsigned i = 0; i < 3000; ++i) {  // a second
    ++refused[flood.hit(now, b.sessions, i).why];
    now += Nanos(Seconds{1}) / 3000;
  }
  EXPECT_EQ(refused[Refusal::unknown_key], SessionAdmission::kCalm);
  EXPECT_EQ(refused[Refusal::under_load], 3000U - SessionAdmission::kCalm);
  for (const auto& each : b.sessions.take_out()) EXPECT_LT(each.bytes.size(), initiation_at::least) << "no amplifier";

  a.sessions.begin(now, a_knows_b);
  for (int i = 0; i < 6 && !a.sessions.ready(now, a_knows_b); ++i) {
    static_cast<void>(flood.hit(now, b.sessions, 7));
    for (auto& each : a.sessions.take_out()) static_cast<void>(b.open(now, a, each.bytes));
    for (auto& each : b.sessions.take_out()) {
      if (each.to == endpoint_of(1)) static_cast<void>(a.open(now, b, each.bytes));
    }
  }
  EXPECT_TRUE(a.sessions.ready(now, a_knows_b)) << "one round trip more, no second";
  EXPECT_EQ(a.sessions.counters().initiations_sent, 2U);
}

TEST(SessionLimits, AProvenSourceIsStillAnsweredAFewTimesOnly) {
  SessionHost b(2, 12);
  SessionHost stranger(3, 13);
  const auto stranger_knows_b = stranger.sessions.add(spec_of(2));
  Flood flood(b.sessions.public_key());
  TimePoint now = kStart;
  std::map<Refusal, unsigned> refused;
  for (unsigned i = 0; i < 3000; ++i) {
    static_cast<void>(flood.hit(now, b.sessions, i));
    if (i == 200) {
      stranger.sessions.begin(now, stranger_knows_b);
      for (auto& each : stranger.sessions.take_out()) static_cast<void>(b.open(now, stranger, each.bytes));
      for (auto& each : b.sessions.take_out()) {
        if (each.to == endpoint_of(3)) static_cast<void>(stranger.open(now, b, each.bytes));
      }
    }
    if (i >= 200) {
      for (auto& each : stranger.sessions.take_out()) {
        for (int k = 0; k < 100; ++k) {  // with a cookie, and again and again
          auto again = each.bytes;
          ++refused[b.open(now, stranger, again).why];
        }
      }
    }
    now += Nanos(Seconds{1}) / 3000;
  }
  EXPECT_EQ(refused[Refusal::unknown_key], SessionAdmission::kSourceBurst);
  EXPECT_EQ(refused[Refusal::too_often], 100U - SessionAdmission::kSourceBurst);
}

TEST(SessionLimits, ACookieIsGoodForOneAddressAndTwoMinutes) {
  DrawnRandom random(1);
  const auto own = key_pair_of(1).public_key();
  CookieOffice office(own, random);
  CookieJar jar(own);
  ByteVector message(initiation_at::least);
  jar.stamp(kStart, message);
  EXPECT_TRUE(office.has_mac1(message));
  EXPECT_FALSE(office.has_mac2(kStart, endpoint_of(5), message));
  const auto reply = office.reply(kStart, endpoint_of(5), Profile::wireguard, 77, message);
  EXPECT_EQ(reply.size(), cookie_at::size);
  auto altered = reply;
  altered[40] ^= std::byte{1};
  EXPECT_FALSE(jar.take(kStart, altered));
  EXPECT_TRUE(jar.take(kStart, reply));
  EXPECT_FALSE(jar.take(kStart, reply)) << "once a message";
  jar.stamp(kStart, message);
  EXPECT_TRUE(office.has_mac2(kStart, endpoint_of(5), message));
  EXPECT_FALSE(office.has_mac2(kStart, endpoint_of(6), message));
  EXPECT_FALSE(office.has_mac2(kStart, endpoint_of(5, 9), message));
  EXPECT_FALSE(office.has_mac2(kStart + kCookieLife, endpoint_of(5), message));
}

class Introductions : public ::testing::Test {
 protected:
  Introductions() {
    b.sessions.set_introduction([this](TimePoint, const crypto::PublicKey& key, ByteView record, PeerId known) {
      asked.push_back({key, std::string(as_text(record)), known});
      if (refuse) return kNobody;
      return known != kNobody ? known : b.sessions.add({key, {}, Profile::native});
    });
    EXPECT_TRUE(a.sessions.set_record(as_bytes("I am host a")));
    a_knows_b = a.sessions.add(spec_of(2));
  }
  Opened introduce() {
    now += Seconds{10};
    static_cast<void>(a.sessions.take_out());
    a.sessions.begin(now, a_knows_b);
    auto out = a.sessions.take_out();
    return b.open(now, a, out.at(0).bytes);
  }

  struct Asked {
    crypto::PublicKey key;
    std::string record;
    PeerId known;
  };
  SessionHost a{1, 11};
  SessionHost b{2, 12};
  PeerId a_knows_b{kNobody};
  TimePoint now{kStart};
  std::vector<Asked> asked;
  bool refuse{false};
};

TEST_F(Introductions, WhoIsNotConfiguredMayShowWhoItIs) {
  const auto opened = introduce();
  EXPECT_EQ(opened.what, Heard::handshake);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].key, key_pair_of(1).public_key());
  EXPECT_EQ(asked[0].record, "I am host a");
  EXPECT_EQ(asked[0].known, kNobody);
  EXPECT_EQ(opened.peer, b.sessions.find(asked[0].key));
  for (auto& each : b.sessions.take_out()) EXPECT_TRUE(a.open(now, b, each.bytes).ready);
}

TEST_F(Introductions, WhoIsRefusedHearsNothing) {
  refuse = true;
  EXPECT_EQ(introduce().why, Refusal::unknown_key);
  EXPECT_FALSE(b.sessions.has_out());
  EXPECT_EQ(b.sessions.peers(), 0U);
}

TEST_F(Introductions, WhoIsKnownIsAskedForAsWellAndMayBeRefusedLater) {
  const auto known = b.sessions.add(spec_of(1));
  EXPECT_EQ(introduce().peer, known);
  EXPECT_EQ(asked.at(0).known, known);
  refuse = true;
  for (auto& each : b.sessions.take_out()) static_cast<void>(a.open(now, b, each.bytes));
  EXPECT_EQ(introduce().why, Refusal::unknown_key);
}

TEST_F(Introductions, ARepetitionIntroducesNobody) {
  now += Seconds{10};
  a.sessions.begin(now, a_knows_b);
  const auto first = a.sessions.take_out().at(0).bytes;
  auto once = first;
  auto again = first;
  EXPECT_EQ(b.open(now, a, once).what, Heard::handshake);
  now += Seconds{1};
  EXPECT_EQ(b.open(now, a, again).why, Refusal::replayed);
  EXPECT_EQ(asked.size(), 1U);
}

TEST_F(Introductions, WhatDoesNotFitAFirstMessageIsNoRecord) {
  EXPECT_TRUE(a.sessions.set_record(ByteVector(kMostRecord)));
  EXPECT_FALSE(a.sessions.set_record(ByteVector(kMostRecord + 1)));
  introduce();
  EXPECT_EQ(asked.at(0).record.size(), kMostRecord);
}

TEST(SessionLimits, KeysThatAreNoneAreNotAdded) {
  SessionHost a(1, 11);
  EXPECT_EQ(a.sessions.add({{}, {}, Profile::native}), kNobody);
  EXPECT_EQ(a.sessions.add(spec_of(1)), kNobody) << "our own";
}

TEST(ReplayWindowTest, RemembersWhatItSawAsFarBackAsItReaches) {
  static_assert(ReplayWindow::kReach >= 8192);
  DrawnRandom random(5);
  for (int run = 0; run < 20; ++run) {
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t greatest = random.below(3) == 0 ? std::uint64_t{1} << 40U : 0;
    for (int i = 0; i < 20'000; ++i) {
      const auto jump = random.below(50) == 0 ? random.below(3 * ReplayWindow::kReach) : random.below(3);
      const auto back = random.below(2 * ReplayWindow::kReach);
      const auto counter = random.below(3) == 0 && greatest >= back ? greatest - back : greatest + jump;
      const bool is_old = !seen.empty() && counter + ReplayWindow::kReach < *seen.rbegin() + 1;
      ASSERT_EQ(window.is_new(counter), !is_old && !seen.contains(counter)) << counter;
      if (!window.is_new(counter)) continue;
      window.mark(counter);
      seen.insert(counter);
      greatest = std::max(greatest, counter);
    }
  }
}

TEST(IndexTableTest, FindsWhatWasPutAndNothingElse) {
  DrawnRandom random(6);
  IndexTable table;
  std::set<std::uint32_t> there;
  for (int i = 0; i < 50'000; ++i) {
    const auto index = static_cast<std::uint32_t>((random.below(40) << 26U) + random.below(40) + 1);  // they collide
    if (random.below(2) == 0) {
      table.put({index, nullptr, nullptr});
      there.insert(index);
    } else {
      table.erase(index);
      there.erase(index);
    }
    const auto other = static_cast<std::uint32_t>((random.below(40) << 26U) + random.below(40) + 1);
    ASSERT_EQ(table.find(other) != nullptr, there.contains(other));
    ASSERT_EQ(table.size(), there.size());
  }
}

TEST(DeadlinesTest, TellTheNextOfAll) {
  DrawnRandom random(7);
  Deadlines deadlines;
  deadlines.reserve(50);
  std::map<Deadlines::Owner, TimePoint> truth;
  for (int i = 0; i < 50'000; ++i) {
    const auto owner = static_cast<Deadlines::Owner>(random.below(50));
    const auto at = TimePoint(Nanos(static_cast<std::int64_t>(random.below(1000))));
    switch (random.below(3)) {
      case 0:
        deadlines.set(owner, std::nullopt);
        truth.erase(owner);
        break;
      case 1:
        deadlines.set(owner, at);
        truth[owner] = at;
        break;
      default: deadlines.at_most(owner, at); truth[owner] = truth.contains(owner) ? std::min(truth[owner], at) : at;
    }
    const auto least = std::ranges::min_element(truth, {}, [](const auto& each) { return each.second; });
    ASSERT_EQ(deadlines.next().has_value(), !truth.empty());
    if (truth.empty()) continue;
    ASSERT_EQ(*deadlines.next(), least->second);
    ASSERT_EQ(truth.at(deadlines.first()), least->second);
  }
}

}  // namespace
}  // namespace godwit::overlay::testing
