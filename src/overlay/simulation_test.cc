// Many switches on a network that loses, delays, reorders, repeats and is cut, while instances move, switches restart,
// and hosts that have the network's key say that they have what they don't.
#include "overlay/test_host.h"

#include <gtest/gtest.h>

#include <functional>
#include <queue>
#include <set>

namespace godwit::overlay::testing {
namespace {

constexpr unsigned kHosts = 5;
constexpr unsigned kMovers = 6;
constexpr unsigned kGuests = kHosts + kMovers;  // the first kHosts never move: one on each host
constexpr TimePoint kStart{Seconds{1000}};
constexpr Seconds kUnrest{4};
constexpr Seconds kCalm{5};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    std::vector<unsigned> places;
    for (unsigned guest = 0; guest < kGuests; ++guest) places.push_back(guest % kHosts + 1);
    network_ = network_of(places);
    for (unsigned guest = 0; guest < kGuests; ++guest) {
      runs_on_.push_back(places[guest]);
      versions_.push_back(1);
      claims_[places[guest]][guest] = 1;
    }
    for (unsigned each = 1; each <= kHosts; ++each) {
      hosts_[each] = std::make_unique<TestHost>(each, random_.below(1U << 30U));
      configure(each);
    }
  }

  void run() {
    for (TimePoint at = kStart; at < kStart + kUnrest; at += Millis{2}) schedule(at, [this] { send_one(); });
    for (int i = 0; i < 12; ++i) schedule(kStart + random_span(kUnrest), [this] { begin_move(); });
    for (int i = 0; i < 3; ++i) schedule(kStart + random_span(kUnrest), [this] { restart(any_host()); });
    for (int i = 0; i < 4; ++i) schedule(kStart + random_span(kUnrest), [this] { cut(); });
    for (int i = 0; i < 20; ++i) schedule(kStart + random_span(kUnrest), [this] { steal(); });
    run_until(kStart + kUnrest);
    calm_ = true;
    run_until(kStart + kUnrest + kCalm);
  }

  // After the calm: all agree with the truth.
  void check_agreement() {
    for (const auto& [number, host] : hosts_) {
      const auto believed = host->core().networks().at(0);
      for (const auto& member : believed.members) {
        const auto guest = guest_of(member.instance);
        EXPECT_EQ(member.location.host, host_name(runs_on_[guest])) << host_name(number) << " about guest " << guest;
        EXPECT_EQ(member.location.version, versions_[guest]);
      }
    }
  }
  // After that: each guest reaches each other one, once.
  void check_reach() {
    delivered_.clear();
    std::set<unsigned> sent;
    for (unsigned from = 0; from < kGuests; ++from) {
      for (unsigned to = 0; to < kGuests; ++to) {
        if (from != to) sent.insert(send(from, to));
      }
    }
    run_until(now_ + Seconds{1});
    for (const auto number : sent) EXPECT_EQ(delivered_[number], 1) << "frame " << number;
  }
  void check_no_frame_twice() const {
    for (const auto& [frame, times] : delivered_) EXPECT_LE(times, 1) << "frame " << frame;
  }

  [[nodiscard]] std::uint64_t trace() const { return trace_; }
  [[nodiscard]] std::size_t delivered() const { return delivered_.size(); }
  [[nodiscard]] unsigned moves() const { return moves_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  struct Event {
    TimePoint at;
    std::uint64_t order;
    std::function<void()> act;
    bool operator<(const Event& other) const { return std::tie(at, order) > std::tie(other.at, other.order); }
  };

  TestHost& host(unsigned number) { return *hosts_.at(number); }
  Nanos random_span(Nanos most) {
    return Nanos(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most.count()))));
  }
  unsigned any_host() { return static_cast<unsigned>(random_.below(kHosts) + 1); }
  void schedule(TimePoint at, std::function<void()> act) { events_.push({at, order_++, std::move(act)}); }
  static unsigned guest_of(const std::string& instance) {
    return static_cast<unsigned>(std::stoul(instance.substr(2), nullptr, 16));
  }

  void configure(unsigned number) {
    ASSERT_TRUE(host(number).configure(now_, network_, claims_[number]));
    collect();
  }

  // What a restart of its switch is: the state goes through JSON, everything else is lost.
  void restart(unsigned number) {
    const auto state = wire::decode<wire::SwitchConfig>(wire::encode(host(number).core().state()));
    ASSERT_TRUE(state);
    hosts_[number] = std::make_unique<TestHost>(number, random_.below(1U << 30U));
    ASSERT_TRUE(host(number).core().configure(now_, *state));
    for (const auto& port : state->networks.at(0).ports)
      host(number).attach(guest_of(port.instance), guest_of(port.instance) + 1);
    host(number).core().announce_again(now_);
    // The move that its agent waits for goes on without it.
    for (auto& [ticket, move] : moving_) {
      if (move.to == number) finish_move(move.guest, number);
    }
    std::erase_if(moving_, [&](const auto& each) { return each.second.to == number; });
  }

  void cut() {
    const auto [a, b] = std::minmax({any_host(), any_host()});
    cuts_[{a, b}] = now_ + random_span(Millis{800});
  }

  void begin_move() {
    const auto guest = static_cast<unsigned>(kHosts + random_.below(kMovers));
    const auto to = any_host();
    if (runs_on_[guest] == 0 || runs_on_[guest] == to) return;
    claims_[to].try_emplace(guest, 0);
    configure(to);
    runs_on_[guest] = 0;  // paused
    const auto ticket = ++last_ticket_;
    ASSERT_TRUE(host(to).announce(now_, guest, ++versions_[guest], ticket));
    claims_[to][guest] = versions_[guest];
    moving_[ticket] = {guest, to};
    ++moves_;
  }
  void finish_move(unsigned guest, unsigned to) { runs_on_[guest] = to; }

  // A host announces an instance that it hasn't, to everybody, with whatever it has seen.
  void steal() {
    const auto thief = any_host();
    const auto guest = static_cast<unsigned>(random_.below(kGuests));
    const auto version = versions_[guest] + 1 + random_.below(3);
    auto location = location_at(thief, version);
    switch (random_.below(4)) {
      case 0: break;
      case 1: location.claim = location_claim(runs_on_[guest] == 0 ? 1 : runs_on_[guest], guest, 1); break;
      case 2: location.claim = location_claim(thief, (guest + 1) % kGuests, version); break;
      default: location.claim = claim_to_text({ByteVector(150, std::byte{7}), {}});
    }
    crypto::MacKey key(ByteVector(32, std::byte{0xaa}));
    const auto message = encode_control(kVni, {last_ticket_ + 1, Announce{instance_id(guest), location}}, key);
    for (auto& [number, each] : hosts_) {
      if (number == thief) continue;
      const auto before = each->drops(Drop::unproven);
      each->record(now_, thief, {RecordKind::control, 0, kVni, message.size(), {}}, message);
      refused_ += each->drops(Drop::unproven) - before;
      const auto believed = each->core().networks().at(0).members.at(guest).location;
      EXPECT_LE(believed.version, versions_[guest]) << host_name(number) << " believes " << host_name(thief);
    }
    collect();
  }

  void send_one() {
    const auto from = static_cast<unsigned>(random_.below(kGuests));
    const auto to = static_cast<unsigned>(random_.below(kGuests));
    if (from != to && runs_on_[from] != 0) send(from, to);
  }
  unsigned send(unsigned from, unsigned to) {
    const auto number = ++last_frame_;
    host(runs_on_[from]).from_guest(now_, from, guest_frame(from, to, fmt::format("{:08}", number)));
    collect();
    return number;
  }

  void collect() {
    for (auto& [number, each] : hosts_) {
      for (auto& datagram : std::exchange(each->sent, {})) transmit(std::move(datagram));
      for (const auto& got : std::exchange(each->delivered, {})) {
        const auto text = std::string(as_text(ByteView(got.frame).last(8)));
        ++delivered_[static_cast<unsigned>(std::stoul(text))];
        note(text + got.instance + host_name(number));
      }
      for (const auto& done : each->core().take_announced()) {
        EXPECT_LE(done.waited, kAnnounceLimit);
        const auto found = moving_.find(done.ticket);
        if (found == moving_.end()) continue;
        finish_move(found->second.guest, found->second.to);
        moving_.erase(found);
      }
    }
  }

  void transmit(Datagram datagram) {
    note(to_hex(datagram.bytes));
    const bool control = !carries_a_frame(datagram);
    const auto from = std::to_integer<unsigned>(datagram.from.ip[15]);
    const auto to = std::to_integer<unsigned>(datagram.to.ip[15]);
    const auto cut = cuts_.find({std::min(from, to), std::max(from, to)});
    if (cut != cuts_.end() && now_ < cut->second) return;
    if (!calm_ && random_.below(10) == 0) return;
    const int copies = control && !calm_ && random_.below(10) == 0 ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      const auto delay = Millis{1} + random_span(Millis{calm_ ? 5 : 40});
      schedule(now_ + delay, [this, to, datagram] {
        host(to).from_underlay(now_, datagram.from, datagram.bytes);
        collect();
      });
    }
  }

  void run_until(TimePoint end) {
    for (;;) {
      auto next = end;
      for (const auto& [number, each] : hosts_) next = std::min(next, each->core().next_deadline().value_or(end));
      if (!events_.empty()) next = std::min(next, events_.top().at);
      now_ = std::max(now_, next);
      if (now_ >= end) return;
      for (auto& [number, each] : hosts_) each->poll(now_);
      collect();
      while (!events_.empty() && events_.top().at <= now_) {
        const auto act = events_.top().act;
        events_.pop();
        act();
      }
    }
  }

  void note(std::string_view text) {
    trace_ = (trace_ ^ static_cast<std::uint64_t>(now_.time_since_epoch().count())) * 0x100000001b3ULL;
    for (const char each : text) trace_ = (trace_ ^ static_cast<unsigned char>(each)) * 0x100000001b3ULL;
  }

  struct Move {
    unsigned guest{0};
    unsigned to{0};
  };

  SeededRandom random_;
  wire::Network network_;
  std::map<unsigned, std::unique_ptr<TestHost>> hosts_;
  std::vector<unsigned> runs_on_;  // by guest; 0: paused, on its way
  std::vector<std::uint64_t> versions_;
  std::map<unsigned, std::map<unsigned, std::uint64_t>> claims_;  // by host, by guest
  std::map<std::uint64_t, Move> moving_;
  std::map<std::pair<unsigned, unsigned>, TimePoint> cuts_;
  std::priority_queue<Event> events_;
  std::map<unsigned, int> delivered_;  // by frame
  TimePoint now_{kStart};
  bool calm_{false};
  std::uint64_t order_{0};
  std::uint64_t last_ticket_{0};
  unsigned last_frame_{0};
  unsigned moves_{0};
  std::uint64_t refused_{0};
  std::uint64_t trace_{0xcbf29ce484222325ULL};
};

TEST(Simulation, WhateverTheNetworkDoesAllAgreeAtTheEndAndNoFrameArrivesTwice) {
  constexpr std::uint64_t kSeeds = 60;
  std::size_t delivered = 0;
  unsigned moves = 0;
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world(seed);
    world.run();
    world.check_no_frame_twice();
    world.check_agreement();
    delivered += world.delivered();
    moves += world.moves();
    refused += world.refused();
    world.check_reach();
  }
  EXPECT_GT(delivered, kSeeds * 800);  // of about 1800 frames a run, a tenth lost by the network
  EXPECT_GT(moves, kSeeds * 5);
  EXPECT_GT(refused, kSeeds * 20);  // of 80 lies that were told in each
}

TEST(Simulation, TheSameSeedGivesTheSameTrace) {
  World one(7);
  World two(7);
  World other(8);
  one.run();
  two.run();
  other.run();
  EXPECT_EQ(one.trace(), two.trace());
  EXPECT_NE(one.trace(), other.trace());
}

}  // namespace
}  // namespace godwit::overlay::testing
