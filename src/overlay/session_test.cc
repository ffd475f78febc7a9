// Two hosts and what they say to each other, message by message. What chance does to many is
// session_simulation_test.cc's.
#include "overlay/session_test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kStart{Seconds{1000}};

class SessionTest : public ::testing::TestWithParam<Profile> {
 protected:
  SessionTest() {
    a_knows_b = a.sessions.add(spec_of(2, GetParam()));
    b_knows_a = b.sessions.add(spec_of(1, GetParam()));
  }

  std::vector<ByteVector> out_of(SessionHost& host) {
    std::vector<ByteVector> out;
    for (auto& each : host.sessions.take_out()) out.push_back(std::move(each.bytes));
    return out;
  }
  // Everything that both have to say, until they are silent.
  void exchange() {
    for (;;) {
      auto from_a = out_of(a);
      auto from_b = out_of(b);
      if (from_a.empty() && from_b.empty()) return;
      for (auto& each : from_a) last_at_b = b.open(now, a, each);
      for (auto& each : from_b) last_at_a = a.open(now, b, each);
    }
  }
  void make_session() {
    a.sessions.begin(now, a_knows_b);
    exchange();
    ASSERT_TRUE(a.sessions.ready(now, a_knows_b));
    ASSERT_TRUE(b.sessions.ready(now, b_knows_a));
  }
  bool a_reaches_b(std::string_view text = "hello") {
    auto datagram = a.seal(now, a_knows_b, text);
    if (datagram.empty()) return false;
    const auto opened = b.open(now, a, datagram);
    return opened.what == Heard::data && opened.peer == b_knows_a && as_text(opened.payload) == text;
  }
  bool b_reaches_a(std::string_view text = "hello") {
    auto datagram = b.seal(now, b_knows_a, text);
    if (datagram.empty()) return false;
    const auto opened = a.open(now, b, datagram);
    return opened.what == Heard::data && opened.peer == a_knows_b && as_text(opened.payload) == text;
  }
  void pass(Nanos span) {
    now += span;
    a.sessions.poll(now);
    b.sessions.poll(now);
  }

  SessionHost a{1, 11};
  SessionHost b{2, 12};
  PeerId a_knows_b{kNobody};
  PeerId b_knows_a{kNobody};
  TimePoint now{kStart};
  Opened last_at_a;
  Opened last_at_b;
};

TEST_P(SessionTest, TheFirstDatagramAsksForASessionAndTheNextOneHasIt) {
  EXPECT_TRUE(a.seal(now, a_knows_b, "too early").empty());
  exchange();
  EXPECT_TRUE(last_at_b.ready) << "the keepalive that ends the handshake says so at the responder";
  EXPECT_TRUE(a_reaches_b());
  EXPECT_TRUE(b_reaches_a());
}

TEST_P(SessionTest, TheResponderIsSilentUntilTheInitiatorWasHeard) {
  a.sessions.begin(now, a_knows_b);
  for (auto& each : out_of(a)) EXPECT_EQ(b.open(now, a, each).what, Heard::handshake);
  EXPECT_FALSE(b.sessions.ready(now, b_knows_a));
  EXPECT_FALSE(b_reaches_a());
  exchange();
  EXPECT_TRUE(b_reaches_a());
}

TEST_P(SessionTest, CountersCountFromZeroAndTellWhatIsNewest) {
  make_session();
  auto first = b.seal(now, b_knows_a, "one");
  auto second = b.seal(now, b_knows_a, "two");
  const auto newer = a.open(now, b, second);
  const auto older = a.open(now, b, first);
  EXPECT_EQ(newer.counter, 1U);
  EXPECT_TRUE(newer.newest);
  EXPECT_EQ(older.counter, 0U);
  EXPECT_FALSE(older.newest);
  EXPECT_EQ(older.session, newer.session);
}

TEST_P(SessionTest, ADatagramIsHeardOnce) {
  make_session();
  const auto sent = a.seal(now, a_knows_b, "once");
  auto first = sent;
  auto again = sent;
  EXPECT_EQ(b.open(now, a, first).what, Heard::data);
  const auto repeated = b.open(now, a, again);
  EXPECT_EQ(repeated.why, Refusal::replayed);
  EXPECT_EQ(repeated.peer, kNobody);
}

TEST_P(SessionTest, NothingThatWasTouchedIsHeard) {
  make_session();
  const auto sent = a.seal(now, a_knows_b, "untouched");
  for (std::size_t i = 0; i < sent.size(); ++i) {
    auto altered = sent;
    altered[i] ^= std::byte{4};
    EXPECT_EQ(b.open(now, a, altered).what, Heard::dropped) << i;
    auto cut = ByteVector(sent.begin(), sent.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(b.open(now, a, cut).what, Heard::dropped) << i;
  }
  auto longer = sent;
  longer.push_back({});
  EXPECT_EQ(b.open(now, a, longer).what, Heard::dropped);
  auto whole = sent;
  EXPECT_EQ(b.open(now, a, whole).what, Heard::data);
}

TEST_P(SessionTest, NoMessageOfAHandshakeThatWasTouchedIsHeard) {
  a.sessions.begin(now, a_knows_b);
  const auto first = out_of(a).at(0);
  for (std::size_t i = 0; i < first.size() - 16; ++i) {  // mac2 is not looked at without load
    auto altered = first;
    altered[i] ^= std::byte{1};
    EXPECT_EQ(b.open(now, a, altered).what, Heard::dropped) << i;
  }
  auto whole = first;
  EXPECT_EQ(b.open(now, a, whole).what, Heard::handshake);
  const auto second = out_of(b).at(0);
  for (std::size_t i = 0; i < second.size() - 16; ++i) {
    auto altered = second;
    altered[i] ^= std::byte{1};
    EXPECT_EQ(a.open(now, b, altered).what, Heard::dropped) << i;
  }
  whole = second;
  EXPECT_TRUE(a.open(now, b, whole).ready) << "what was altered did no harm";
}

TEST_P(SessionTest, AnOldInitiationIsNotAnswered) {
  a.sessions.begin(now, a_knows_b);
  const auto first = out_of(a).at(0);
  auto once = first;
  auto again = first;
  EXPECT_EQ(b.open(now, a, once).what, Heard::handshake);
  now += Seconds{1};
  EXPECT_EQ(b.open(now, a, again).why, Refusal::replayed);
}

TEST_P(SessionTest, WhoIsNotConfiguredIsNotHeard) {
  SessionHost stranger(3, 13);
  const auto stranger_knows_b = stranger.sessions.add(spec_of(2, GetParam()));
  stranger.sessions.begin(now, stranger_knows_b);
  for (auto& each : out_of(stranger)) {
    const auto opened = b.open(now, stranger, each);
    EXPECT_EQ(opened.why, Refusal::unknown_key);
    EXPECT_EQ(opened.peer, kNobody);
  }
  EXPECT_TRUE(out_of(b).empty()) << "not even a refusal";
}

TEST_P(SessionTest, WhoLacksThePresharedKeyGetsNoSession) {
  auto spec = spec_of(1, GetParam());
  spec.psk.writable()[0] = std::byte{1};
  EXPECT_EQ(b.sessions.add(spec), b_knows_a);
  a.sessions.begin(now, a_knows_b);
  exchange();
  EXPECT_EQ(last_at_a.why, Refusal::not_authentic);
  EXPECT_FALSE(a.sessions.ready(now, a_knows_b));
}

TEST_P(SessionTest, WhatIsSpokenIsConfiguredAndNotGuessed) {
  const auto other = GetParam() == Profile::native ? Profile::wireguard : Profile::native;
  EXPECT_EQ(b.sessions.add(spec_of(1, other)), b_knows_a);
  a.sessions.begin(now, a_knows_b);
  exchange();
  EXPECT_EQ(last_at_b.why, Refusal::wrong_profile);
  EXPECT_FALSE(a.sessions.ready(now, a_knows_b));
}

TEST_P(SessionTest, ASessionIsRenewedBeforeItEndsAndNothingIsLost) {
  make_session();
  const auto before = b.sessions.counters().begun;
  for (int second = 0; second < 600; ++second) {
    pass(Seconds{1});
    EXPECT_TRUE(a_reaches_b()) << second;
    EXPECT_TRUE(b_reaches_a()) << second;
    exchange();
  }
  EXPECT_EQ(b.sessions.counters().begun - before, 5U) << "every kRekeyAfter";
}

TEST_P(SessionTest, TheResponderRenewsItWhereTheInitiatorOnlyListens) {
  make_session();
  for (int second = 0; second < 600; ++second) {
    pass(Seconds{1});
    EXPECT_TRUE(b_reaches_a()) << second;
    exchange();
  }
}

TEST_P(SessionTest, WhatIsSealedByTheOldSessionIsHeardAfterTheNewOneIsMade) {
  make_session();
  auto late = a.seal(now, a_knows_b, "late");
  pass(kRekeyAfter);
  EXPECT_TRUE(a_reaches_b());
  exchange();
  EXPECT_TRUE(a_reaches_b());
  EXPECT_EQ(b.open(now, a, late).what, Heard::data);
}

TEST_P(SessionTest, ASessionThatIsTooOldSealsAndOpensNothing) {
  make_session();
  auto old = a.seal(now, a_knows_b, "old");
  now += kRejectAfter;  // without a poll, as if the host had slept
  EXPECT_FALSE(a.sessions.ready(now, a_knows_b));
  EXPECT_EQ(b.open(now, a, old).why, Refusal::expired);
  EXPECT_TRUE(a.seal(now, a_knows_b, "x").empty());
  exchange();
  EXPECT_TRUE(a_reaches_b());
}

TEST_P(SessionTest, WhoHearsWithoutSayingAnythingSaysThatItIsThere) {
  make_session();
  EXPECT_TRUE(a_reaches_b());
  pass(kKeepaliveAfter);
  const auto out = out_of(b);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].size(), kSealOverhead);
  pass(kKeepaliveAfter);
  EXPECT_TRUE(out_of(b).empty()) << "once";
}

TEST_P(SessionTest, WhoSpeaksAndHearsNothingMakesANewSession) {
  make_session();
  EXPECT_FALSE(a.seal(now, a_knows_b, "into the void").empty());
  pass(kSilenceAfter);
  const auto out = out_of(a);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0][0], type_byte(GetParam(), MessageKind::initiation));
}

TEST_P(SessionTest, AnInitiationIsRepeatedAndThenGivenUp) {
  a.sessions.begin(now, a_knows_b);
  std::size_t sent = out_of(a).size();
  for (int second = 0; second < 200; ++second) {
    pass(Seconds{1});
    sent += out_of(a).size();
  }
  EXPECT_GE(sent, 15U);
  EXPECT_LE(sent, 18U) << "every 5 s and a little, for 90 s";
  EXPECT_EQ(a.sessions.counters().given_up, 1U);
  EXPECT_FALSE(a.sessions.next_deadline());
}

TEST_P(SessionTest, BothBeginAtOnceAndBothAreHeard) {
  a.sessions.begin(now, a_knows_b);
  b.sessions.begin(now, b_knows_a);
  exchange();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(a_reaches_b());
    EXPECT_TRUE(b_reaches_a());
  }
}

// Then the one has made its session before it answers the other's, and takes the other's for a peer that was restarted;
// the other one, by the keys, may take the first. Both seal, each by another session, until one renews.
TEST_P(SessionTest, WhereAFirstMessageComesAfterTheAnswerToTheOthersAllIsHeardThenAndWhenItIsRenewed) {
  const auto index_at = [](ByteView message, std::size_t at) { return load_index(GetParam(), message.subspan(at)); };
  int apart = 0;
  for (const auto& [early, late] : {std::pair{1U, 2U}, std::pair{2U, 1U}}) {
    SCOPED_TRACE(early);
    SessionHost x(early, 7);
    SessionHost y(late, 8);
    const auto x_knows = x.sessions.add(spec_of(late, GetParam()));
    const auto y_knows = y.sessions.add(spec_of(early, GetParam()));
    x.sessions.begin(now, x_knows);
    y.sessions.begin(now, y_knows);
    auto of_x = out_of(x);
    auto of_y = out_of(y);
    const auto begun_by_x = index_at(of_x.at(0), initiation_at::sender);
    const auto begun_by_y = index_at(of_y.at(0), initiation_at::sender);
    for (auto& each : of_x) EXPECT_EQ(y.open(now, x, each).what, Heard::handshake);
    for (auto& each : out_of(y)) EXPECT_TRUE(x.open(now, y, each).ready);
    auto keepalive = out_of(x);
    now += Millis{1};
    for (auto& each : of_y) EXPECT_EQ(x.open(now, y, each).what, Heard::handshake);
    for (auto& each : out_of(x)) EXPECT_TRUE(y.open(now, x, each).ready);  // before x's keepalive
    for (auto& each : out_of(y)) x.open(now, y, each);
    for (auto& each : keepalive) y.open(now, x, each);
    const auto by_x = x.seal(now, x_knows, "x");
    const auto by_y = y.seal(now, y_knows, "y");
    apart += index_at(by_x, data_at::receiver) == begun_by_y && index_at(by_y, data_at::receiver) == begun_by_x ? 1 : 0;

    const auto begun = x.sessions.counters().begun;
    for (int second = 0; second < 600; ++second) {
      for (auto* each : {&x, &y}) {
        auto& other = each == &x ? y : x;
        auto datagram = each->seal(now, each == &x ? x_knows : y_knows, "hello");
        ASSERT_FALSE(datagram.empty()) << "a session was missing after " << second << " s";
        const auto opened = other.open(now, *each, datagram);
        EXPECT_EQ(opened.what, Heard::data) << second;
        EXPECT_TRUE(opened.newest) << "else a peer that moves is not followed; after " << second << " s";
      }
      now += Seconds{1};
      for (auto* each : {&x, &y}) each->sessions.poll(now);
      for (int round = 0; round < 3; ++round) {
        for (auto& each : out_of(x)) y.open(now, x, each);
        for (auto& each : out_of(y)) x.open(now, y, each);
      }
    }
    EXPECT_LE(x.sessions.counters().begun - begun, 5U);
  }
  EXPECT_EQ(apart, 1) << "the keys decide whether it comes to that";
}

TEST_P(SessionTest, APeerThatLostEverythingComesBackAtOnceWhenItBegins) {
  make_session();
  SessionHost reborn(1, 99);
  reborn.wall = a.wall + Seconds{1};
  pass(Seconds{1});
  const auto reborn_knows_b = reborn.sessions.add(spec_of(2, GetParam()));
  reborn.sessions.begin(now, reborn_knows_b);
  for (auto& each : out_of(reborn)) EXPECT_EQ(b.open(now, a, each).what, Heard::handshake);
  for (auto& each : out_of(b)) EXPECT_TRUE(reborn.open(now, b, each).ready);
  EXPECT_TRUE(b_reaches_a()) << "to the last, what was there was not harmed";
  for (auto& each : out_of(reborn)) EXPECT_TRUE(b.open(now, a, each).ready);
  auto datagram = b.seal(now, b_knows_a, "welcome");
  EXPECT_EQ(reborn.open(now, b, datagram).what, Heard::data);
}

// Whoever has the smaller key: only of two sessions that were begun at once it is its that stays.
TEST_P(SessionTest, APeerThatLostEverythingComesBackAtOnceWhereTheOtherHadJustBegun) {
  for (const auto& [lost, survivor] : {std::pair{1U, 2U}, std::pair{2U, 1U}}) {
    SCOPED_TRACE(lost);
    SessionHost before(lost, 7);
    SessionHost other(survivor, 8);
    const auto before_knows = before.sessions.add(spec_of(survivor, GetParam()));
    const auto other_knows = other.sessions.add(spec_of(lost, GetParam()));
    other.sessions.begin(now, other_knows);
    for (auto& each : out_of(other)) EXPECT_EQ(before.open(now, other, each).what, Heard::handshake);
    for (auto& each : out_of(before)) EXPECT_TRUE(other.open(now, before, each).ready);
    for (auto& each : out_of(other)) EXPECT_TRUE(before.open(now, other, each).ready);
    EXPECT_FALSE(before.seal(now, before_knows, "here").empty());

    pass(Seconds{1});
    SessionHost reborn(lost, 99);
    reborn.wall = before.wall + Seconds{1};
    const auto reborn_knows = reborn.sessions.add(spec_of(survivor, GetParam()));
    reborn.sessions.begin(now, reborn_knows);
    for (auto& each : out_of(reborn)) EXPECT_EQ(other.open(now, reborn, each).what, Heard::handshake);
    for (auto& each : out_of(other)) EXPECT_TRUE(reborn.open(now, other, each).ready);
    for (auto& each : out_of(reborn)) EXPECT_TRUE(other.open(now, reborn, each).ready);
    auto datagram = other.seal(now, other_knows, "welcome");
    EXPECT_EQ(reborn.open(now, other, datagram).what, Heard::data);
  }
}

TEST_P(SessionTest, APeerWhoseClockWentBackIsAskedInstead) {
  make_session();
  SessionHost reborn(1, 99);
  reborn.wall = a.wall - Seconds{86400};
  const auto reborn_knows_b = reborn.sessions.add(spec_of(2, GetParam()));
  pass(Seconds{20});
  static_cast<void>(out_of(a));
  static_cast<void>(out_of(b));
  reborn.sessions.begin(now, reborn_knows_b);
  for (auto& each : out_of(reborn)) EXPECT_EQ(b.open(now, a, each).why, Refusal::replayed);
  auto asked = b.sessions.take_out();
  ASSERT_EQ(asked.size(), 2U) << "where it seems to be, and where it is believed to be";
  EXPECT_EQ(asked[0].to, endpoint_of(1));
  EXPECT_FALSE(asked[1].to);
  EXPECT_EQ(reborn.open(now, b, asked[0].bytes).what, Heard::handshake);
  for (auto& each : out_of(reborn)) EXPECT_TRUE(b.open(now, a, each).ready);
  for (auto& each : out_of(b)) static_cast<void>(reborn.open(now, b, each));
  auto datagram = reborn.seal(now, reborn_knows_b, "hello");
  EXPECT_EQ(b.open(now, a, datagram).what, Heard::data);
}

TEST_P(SessionTest, WhatIsRemovedIsForgottenAndItsIdMeansNobody) {
  make_session();
  auto datagram = a.seal(now, a_knows_b, "hello");
  b.sessions.remove(b_knows_a);
  EXPECT_EQ(b.open(now, a, datagram).why, Refusal::unknown_index);
  EXPECT_TRUE(b.seal(now, b_knows_a, "hello").empty());
  EXPECT_FALSE(b.sessions.next_deadline());
  const auto again = b.sessions.add(spec_of(1, GetParam()));
  EXPECT_NE(again, b_knows_a);
  EXPECT_TRUE(b.seal(now, b_knows_a, "hello").empty());
}

INSTANTIATE_TEST_SUITE_P(Profiles, SessionTest, ::testing::Values(Profile::native, Profile::wireguard),
                         [](const auto& each) { return each.param == Profile::native ? "native" : "wireguard"; });

}  // namespace
}  // namespace godwit::overlay::testing
