// Many hosts with sessions on a network that loses, delays, reorders, repeats, alters and is cut, while hosts restart,
// their clocks jump, and somebody sends again what was recorded, altered or made up.
#include "overlay/session_test_host.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <queue>
#include <set>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kStart{Seconds{1000}};
constexpr Seconds kUnrest{150};
constexpr Seconds kHealing{40};  // silence noticed, a first message, a clock that went back
constexpr Seconds kCalm{400};    // three renewals
constexpr unsigned kStranger = 5000;
constexpr std::size_t kMostRecorded = 4000;

// Who speaks with whom, and how that is known at either end.
struct Link {
  unsigned a;
  unsigned b;
  Profile profile;
  bool introduced;  // b learns of a by a's first message
  bool one_way;     // only a has something to say
};

struct Host {
  std::unique_ptr<SessionHost> session;
  sys::UdpEndpoint address;
  std::map<unsigned, PeerId> ids;
  std::map<PeerId, unsigned> numbers;
  std::map<unsigned, sys::UdpEndpoint> places;  // where each peer was heard last
};

struct Recorded {
  sys::UdpEndpoint from;
  sys::UdpEndpoint to;
  ByteVector bytes;
};

struct Payload {
  unsigned from{0};
  unsigned to{0};
  TimePoint sealed;
  unsigned delivered{0};
  std::string text;
};

class World {
 public:
  World(std::uint64_t seed, unsigned hosts, unsigned links_a_host) : random_(seed), hosts_count_(hosts) {
    for (unsigned i = 1; i <= hosts; ++i) {
      for (unsigned k = 1; k <= links_a_host && k < hosts; ++k) add_link(i, (i + k * k - 1) % hosts + 1);
    }
    for (unsigned i = 1; i <= hosts; ++i) make_host(i);
    make_host(kStranger);
    for (auto& [number, host] : hosts_) {
      for (const auto& [other, id] : host.ids) host.session->sessions.begin(now_, id);
      collect(number);
    }
  }

  void run() {
    for (const auto& link : links_) {
      schedule(now_ + span(Seconds{1}), [this, link] { talk(link); });
    }
    for (unsigned i = 0; i < hosts_count_; ++i) {
      at_unrest([this] { restart(any_host()); });
      at_unrest([this] { hosts_.at(any_host()).session->wall += Seconds{1} * (below(200'000))-Seconds{100'000}; });
      at_unrest([this] { cut(); });
      at_unrest([this] { roam(1); });
    }
    for (unsigned i = 0; i < 400; ++i) at_unrest([this] { attack(); });
    for (unsigned i = 0; i < 200; ++i) schedule(kStart + kUnrest + span(kHealing + kCalm), [this] { attack(); });
    for (int i = 0; i < 30; ++i) at_unrest([this] { strange(); });
    run_until(kStart + kUnrest);
    calm_ = true;
    run_until(kStart + kUnrest + kHealing);
    healed_ = now_;
    run_until(kStart + kUnrest + kHealing + kCalm);
    ending_ = true;
    run_until(now_ + Seconds{1});
  }

  void check() const {
    std::size_t late = 0;
    for (const auto& [number, each] : payloads_) {
      EXPECT_LE(each.delivered, 1U) << "payload " << number;
      if (each.sealed < healed_) continue;
      ++late;
      EXPECT_EQ(each.delivered, 1U) << "payload " << number << " from " << each.from << " to " << each.to << " sealed "
                                    << to_s(each.sealed - kStart) << " s after the beginning";
    }
    EXPECT_GT(late, links_.size() * 300U);
    EXPECT_EQ(refused_when_healed_, 0U) << "a session was missing after the network had healed";
    EXPECT_FALSE(hosts_.at(kStranger).session->sessions.ready(now_, hosts_.at(kStranger).ids.begin()->second));
  }
  [[nodiscard]] std::uint64_t trace() const { return trace_; }

 private:
  struct Event {
    TimePoint at;
    std::uint64_t order;
    std::function<void()> act;
    bool operator<(const Event& other) const { return std::tie(at, order) > std::tie(other.at, other.order); }
  };

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  Nanos span(Nanos most) { return Nanos(static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most.count())))); }
  unsigned any_host() { return static_cast<unsigned>(below(hosts_count_) + 1); }
  void schedule(TimePoint at, std::function<void()> act) { events_.push({at, order_++, std::move(act)}); }
  void at_unrest(std::function<void()> act) { schedule(kStart + span(kUnrest), std::move(act)); }

  void add_link(unsigned a, unsigned b) {
    const bool known = std::ranges::any_of(
        links_, [&](const Link& each) { return (each.a == a && each.b == b) || (each.a == b && each.b == a); });
    if (a == b || known) return;
    const auto profile = one_in(3) ? Profile::wireguard : Profile::native;
    // Host 1 roams: who only listens to it, or could not speak before it is introduced, would not find it again.
    links_.push_back({a, b, profile, profile == Profile::native && b != 1 && one_in(3), b != 1 && one_in(4)});
  }

  void make_host(unsigned number) {
    auto& host = hosts_[number];
    const auto wall = host.session ? host.session->wall : WallTime{Seconds{1'700'000'000}};
    host.session = std::make_unique<SessionHost>(number, below(1U << 30U));
    host.session->wall = wall;
    host.ids.clear();
    host.numbers.clear();
    if (!host.address) set_address(number, endpoint_of(number));
    auto& sessions = host.session->sessions;
    // The stranger has found somebody else's record, and shows it.
    ASSERT_TRUE(sessions.set_record(as_bytes(fmt::format("{}", number == kStranger ? 1 : number))));
    sessions.set_introduction([this, number](TimePoint, const crypto::PublicKey& key, ByteView record, PeerId known) {
      return known != kNobody ? known : introduce(number, key, record);
    });
    for (const auto& link : links_) {
      if (link.a == number) add_peer(number, link.b, link.profile);
      if (link.b == number && !link.introduced) add_peer(number, link.a, link.profile);
    }
    if (number == kStranger) add_peer(number, 1, Profile::native);
  }
  PeerId add_peer(unsigned number, unsigned other, Profile profile) {
    auto& host = hosts_.at(number);
    const auto id = host.session->sessions.add(spec_of(other, profile));
    host.ids[other] = id;
    host.numbers[id] = other;
    host.places.try_emplace(other, endpoint_of(other));
    return id;
  }
  PeerId introduce(unsigned number, const crypto::PublicKey& key, ByteView record) {
    const auto other = static_cast<unsigned>(std::stoul(std::string(as_text(record))));
    for (const auto& link : links_) {
      if (link.a == other && link.b == number && link.introduced && key == spec_of(other).key) {
        return add_peer(number, other, Profile::native);
      }
    }
    return kNobody;
  }
  void set_address(unsigned number, const sys::UdpEndpoint& address) {
    hosts_.at(number).address = address;
    by_address_[address] = number;
  }

  void talk(const Link& link) {
    if (ending_) return;
    say(link.a, link.b);
    if (!link.one_way) say(link.b, link.a);
    schedule(now_ + Millis{500} + span(Seconds{1}), [this, link] { talk(link); });
  }
  void say(unsigned from, unsigned to) {
    auto& host = hosts_.at(from);
    const auto id = host.ids.find(to);
    if (id == host.ids.end()) return;  // not introduced yet
    const auto number = ++last_payload_;
    const auto text = fmt::format("{:012} from {:05} to {:05} {}", number, from, to, std::string(16 * below(60), 'x'));
    auto datagram = host.session->seal(now_, id->second, text);
    collect(from);
    if (datagram.empty()) {
      if (healed_ != TimePoint{}) ++refused_when_healed_;
      return;
    }
    payloads_[number] = {from, to, now_, 0, text};
    transmit(host.address, host.places.at(to), datagram);
  }

  void collect(unsigned number) {
    auto& host = hosts_.at(number);
    for (auto& each : host.session->sessions.take_out()) {
      const auto to = each.to ? each.to : host.places.at(host.numbers.at(each.peer));
      transmit(host.address, to, each.bytes);
    }
  }
  void transmit(const sys::UdpEndpoint& from, const sys::UdpEndpoint& to, const ByteVector& bytes) {
    if (recorded_.size() < kMostRecorded)
      recorded_.push_back({from, to, bytes});
    else
      recorded_[below(kMostRecorded)] = {from, to, bytes};
    if (!calm_ && one_in(8)) return;
    const int copies = !calm_ && one_in(10) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      const auto delay = Millis{1} + span(calm_ ? Millis{40} : Millis{400});
      schedule(now_ + delay, [this, from, to, bytes] { arrive(from, to, bytes); });
    }
  }
  void arrive(const sys::UdpEndpoint& from, const sys::UdpEndpoint& to, ByteVector bytes) {
    const auto there = by_address_.find(to);
    if (there == by_address_.end() || is_cut(from, there->second)) return;
    const auto number = there->second;
    auto& host = hosts_.at(number);
    const auto opened = host.session->sessions.on_datagram(now_, from, bytes);
    trace_ = trace_ * 31 + static_cast<std::uint64_t>(opened.what) * 7 + static_cast<std::uint64_t>(opened.why);
    if (opened.peer != kNobody) {
      const auto other = host.numbers.at(opened.peer);
      ASSERT_NE(other, kStranger);
      if (opened.newest) host.places[other] = from;
      if (opened.what == Heard::data) deliver(number, other, opened.payload);
    }
    collect(number);
  }
  void deliver(unsigned to, unsigned from, ByteView payload) {
    const auto text = as_text(payload);
    const auto found = payloads_.find(std::stoul(std::string(text.substr(0, 12))));
    ASSERT_NE(found, payloads_.end());
    EXPECT_EQ(found->second.from, from);
    EXPECT_EQ(found->second.to, to);
    EXPECT_EQ(found->second.text, text);
    ++found->second.delivered;
  }

  // All of it is lost but its keys, its configuration and perhaps the time of day.
  void restart(unsigned number) {
    make_host(number);
    auto& host = hosts_.at(number);
    if (one_in(2)) host.session->wall += Seconds{1} * below(200'000) - Seconds{100'000};
    if (one_in(2)) return;  // it has forgotten to begin by itself
    for (const auto& [other, id] : host.ids) host.session->sessions.begin(now_, id);
    collect(number);
  }
  // Only one host does, so that no two lose each other.
  void roam(unsigned number) {
    by_address_.erase(hosts_.at(number).address);
    set_address(number, endpoint_of(number, static_cast<std::uint16_t>(20'000 + ++roamed_)));
  }
  void cut() { cuts_[{any_host(), any_host()}] = now_ + span(Seconds{60}); }
  bool is_cut(const sys::UdpEndpoint& from, unsigned to) {
    const auto sender = by_address_.find(from);
    if (calm_ || sender == by_address_.end()) return false;
    for (const auto& pair : {std::pair(sender->second, to), std::pair(to, sender->second)}) {
      const auto found = cuts_.find(pair);
      if (found != cuts_.end() && now_ < found->second) return true;
    }
    return false;
  }

  // Somebody who hears everything, and knows no key.
  void attack() {
    if (recorded_.empty()) return;
    auto each = recorded_[below(recorded_.size())];
    switch (below(5)) {
      case 0: break;  // again
      case 1: each.bytes[below(each.bytes.size())] ^= static_cast<std::byte>(1 + below(255)); break;
      case 2: each.bytes.resize(below(each.bytes.size())); break;
      case 3: each.bytes.resize(each.bytes.size() + 1 + below(2000)); break;
      default:
        each.bytes.resize(1 + below(1500));
        random_.fill(each.bytes);
        if (one_in(2)) each.bytes[0] = type_byte(Profile::native, static_cast<MessageKind>(1 + below(4)));
    }
    schedule(now_, [this, each] { arrive(each.from, each.to, each.bytes); });
  }
  void strange() {
    auto& stranger = hosts_.at(kStranger);
    stranger.session->sessions.begin(now_, stranger.ids.begin()->second);
    collect(kStranger);
  }

  void run_until(TimePoint end) {
    for (;;) {
      std::optional<std::pair<TimePoint, unsigned>> due;
      for (const auto& [number, host] : hosts_) {
        const auto next = host.session->sessions.next_deadline();
        if (next && (!due || *next < due->first)) due = {*next, number};
      }
      const bool is_poll = due && (events_.empty() || due->first <= events_.top().at);
      if (!is_poll && events_.empty()) break;
      const auto at = is_poll ? due->first : events_.top().at;
      if (at > end) break;
      pass_to(at);
      if (is_poll) {
        hosts_.at(due->second).session->sessions.poll(now_);
        collect(due->second);
      } else {
        const auto act = events_.top().act;
        events_.pop();
        act();
      }
    }
    pass_to(end);
  }
  void pass_to(TimePoint at) {
    if (at <= now_) return;
    for (auto& [number, host] : hosts_) host.session->wall += std::chrono::duration_cast<Millis>(at - now_);
    now_ = at;
  }

  DrawnRandom random_;
  unsigned hosts_count_;
  std::vector<Link> links_;
  std::map<unsigned, Host> hosts_;
  std::map<sys::UdpEndpoint, unsigned> by_address_;
  std::map<std::pair<unsigned, unsigned>, TimePoint> cuts_;
  std::priority_queue<Event> events_;
  std::uint64_t order_{0};
  std::vector<Recorded> recorded_;
  std::map<std::uint64_t, Payload> payloads_;
  std::uint64_t last_payload_{0};
  std::size_t refused_when_healed_{0};
  unsigned roamed_{0};
  TimePoint now_{kStart};
  TimePoint healed_{};
  bool calm_{false};
  bool ending_{false};
  std::uint64_t trace_{0};
};

std::uint64_t seeds() {
  const auto* asked = std::getenv("GODWIT_SEEDS");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : 12;
}

TEST(SessionSimulation, WhateverHappensAPayloadIsHeardOnceAndSessionsComeBack) {
  for (std::uint64_t seed = 1; seed <= seeds() && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world(seed, static_cast<unsigned>(2 + seed % 5), 2);
    world.run();
    world.check();
  }
}

TEST(SessionSimulation, OfHundredsOfHostsAsWell) {
  World world(1, 200, 2);
  world.run();
  world.check();
}

TEST(SessionSimulation, TheSameSeedGivesTheSameRun) {
  const auto trace_of = [](std::uint64_t seed) {
    World world(seed, 4, 2);
    world.run();
    return world.trace();
  };
  EXPECT_EQ(trace_of(7), trace_of(7));
  EXPECT_NE(trace_of(7), trace_of(8));
}

}  // namespace
}  // namespace godwit::overlay::testing
