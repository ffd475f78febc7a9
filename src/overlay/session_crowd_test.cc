// One host with sessions to thousands: all ask at once, all talk, all renew.
#include "overlay/session_test_host.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <set>
#include <unordered_map>

namespace godwit::overlay::testing {
namespace {

constexpr unsigned kPeers = 2000;
constexpr unsigned kHub = 1;
constexpr TimePoint kStart{Seconds{1000}};
constexpr WallTime kWall{Seconds{1'700'000'000}};
constexpr std::uint64_t kLostOf1000 = 10;

std::size_t allocated() { return mallinfo2().uordblks; }  // 0 with a sanitizer

class Crowd {
 public:
  explicit Crowd(std::uint64_t seed) : random_(seed) {
    make(kHub);
    for (unsigned number = kHub + 1; number <= kHub + kPeers; ++number) {
      make(number);
      hub_knows_.push_back(host(kHub).sessions.add(spec_of(number)));
      numbers_[hub_knows_.back()] = number;
      knows_hub_.push_back(host(number).sessions.add(spec_of(kHub)));
    }
  }

  // As after the hub's restart: every peer asks within a second, and asks again until it has its session.
  void meet() {
    for (unsigned each = 0; each < kPeers; ++each) talks_.emplace(now_ + span(Seconds{1}), each);
  }
  void run_for(Seconds time) {
    const auto end = now_ + time;
    for (;;) {
      auto next = std::min(end, due_.begin()->first);
      if (!talks_.empty()) next = std::min(next, talks_.begin()->first);
      if (!in_flight_.empty()) next = std::min(next, in_flight_.begin()->first);
      if (next >= end) break;
      now_ = std::max(now_, next);
      if (!in_flight_.empty() && in_flight_.begin()->first <= now_) {
        arrive(std::move(in_flight_.extract(in_flight_.begin()).mapped()));
      } else if (!talks_.empty() && talks_.begin()->first <= now_) {
        talk(talks_.extract(talks_.begin()).mapped());
      } else {
        const auto number = due_.begin()->second;
        host(number).sessions.poll(now_);
        collect(number);
      }
    }
    now_ = end;
  }
  void fall_silent() { talks_.clear(); }

  [[nodiscard]] unsigned ready() {
    unsigned count = 0;
    for (unsigned each = 0; each < kPeers; ++each) {
      const bool both = host(kHub).sessions.ready(now_, hub_knows_[each]) &&
                        host(kHub + 1 + each).sessions.ready(now_, knows_hub_[each]);
      count += both ? 1 : 0;
    }
    return count;
  }
  [[nodiscard]] const SessionCounters& counters() { return host(kHub).sessions.counters(); }

  std::uint64_t sealed{0};
  std::uint64_t lost{0};  // of these
  std::uint64_t heard{0};
  std::uint64_t unsealed{0};  // because there was no session

 private:
  struct Datagram {
    unsigned from;
    unsigned to;
    ByteVector bytes;
  };

  SessionHost& host(unsigned number) { return *hosts_.at(number - kHub); }
  Nanos span(Nanos most) {
    return Nanos(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most.count()))));
  }

  void make(unsigned number) {
    hosts_.push_back(std::make_unique<SessionHost>(number, random_.below(1U << 30U)));
    dues_.push_back(TimePoint::max());
    due_.emplace(TimePoint::max(), number);
  }
  void talk(unsigned each) {
    say(kHub + 1 + each, kHub, knows_hub_[each]);
    if (host(kHub).sessions.ready(now_, hub_knows_[each])) say(kHub, kHub + 1 + each, hub_knows_[each]);
    talks_.emplace(now_ + Seconds{5} + span(Seconds{8}), each);
  }
  void say(unsigned from, unsigned to, PeerId peer) {
    host(from).wall = kWall + std::chrono::duration_cast<Millis>(now_ - kStart);
    auto datagram = host(from).seal(now_, peer, fmt::format("from {:05} to {:05}", from, to));
    collect(from);
    if (datagram.empty()) {
      ++unsealed;
      return;
    }
    ++sealed;
    if (!transmit({from, to, std::move(datagram)})) ++lost;
  }
  bool transmit(Datagram datagram) {
    if (random_.below(1000) < kLostOf1000) return false;
    in_flight_.emplace(now_ + Millis{5} + span(Millis{40}), std::move(datagram));
    return true;
  }
  void arrive(Datagram datagram) {
    auto& there = host(datagram.to);
    there.wall = kWall + std::chrono::duration_cast<Millis>(now_ - kStart);
    const auto opened = there.sessions.on_datagram(now_, endpoint_of(datagram.from), datagram.bytes);
    if (opened.what == Heard::data) {
      ++heard;
      EXPECT_EQ(as_text(opened.payload), fmt::format("from {:05} to {:05}", datagram.from, datagram.to));
    }
    collect(datagram.to);
  }
  void collect(unsigned number) {
    auto& sessions = host(number).sessions;
    for (auto& each : sessions.take_out()) {
      const auto to = each.to          ? load_be16(ByteView(each.to.ip).subspan(14))
                      : number == kHub ? numbers_.at(each.peer)
                                       : kHub;
      static_cast<void>(transmit({number, to, std::move(each.bytes)}));
    }
    auto& due = dues_.at(number - kHub);
    due_.erase({due, number});
    due = sessions.next_deadline().value_or(TimePoint::max());
    due_.emplace(due, number);
  }

  DrawnRandom random_;
  std::vector<std::unique_ptr<SessionHost>> hosts_;
  std::vector<PeerId> hub_knows_;
  std::vector<PeerId> knows_hub_;
  std::unordered_map<PeerId, unsigned> numbers_;
  std::vector<TimePoint> dues_;
  std::set<std::pair<TimePoint, unsigned>> due_;
  std::multimap<TimePoint, unsigned> talks_;
  std::multimap<TimePoint, Datagram> in_flight_;
  TimePoint now_{kStart};
};

TEST(SessionCrowd, ThousandsMeetTalkAndRenewAndCostNoMoreForIt) {
  Crowd crowd(1);
  const auto before = allocated();
  crowd.meet();
  crowd.run_for(Seconds{20});
  EXPECT_EQ(crowd.ready(), kPeers);
  const auto unsealed_at_first = crowd.unsealed;

  crowd.run_for(Seconds{130});
  const auto once_renewed = allocated();
  crowd.run_for(Seconds{140});
  const auto twice_renewed = allocated();
  EXPECT_EQ(crowd.ready(), kPeers);
  EXPECT_EQ(crowd.unsealed, unsealed_at_first) << "a session was missing";
  EXPECT_GE(crowd.counters().begun, 3UL * kPeers);
  EXPECT_LE(crowd.counters().begun, 4UL * kPeers);
  const auto bytes_a_peer = (twice_renewed - before) / kPeers;  // both ends, and what is on its way
  fmt::print("{} peers: {} datagrams, {} sessions, {} cookies, {} bytes a peer\n", kPeers, crowd.sealed,
             crowd.counters().begun, crowd.counters().cookies_sent, bytes_a_peer);
  EXPECT_LE(bytes_a_peer, 24U * 1024);
  EXPECT_LE(twice_renewed, once_renewed + once_renewed / 20);
  crowd.fall_silent();
  crowd.run_for(Seconds{1});
  EXPECT_EQ(crowd.heard, crowd.sealed - crowd.lost);
}

}  // namespace
}  // namespace godwit::overlay::testing
