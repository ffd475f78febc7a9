// Hosts with sessions, ways and channels, and a relay, behind simulated NATs: as they are outside, but for the sockets.
#include "overlay/underlay.h"

#include "overlay/relay.h"
#include "overlay/session_test_host.h"
#include "sim/nat.h"

#include <gtest/gtest.h>

#include <functional>
#include <queue>

namespace godwit::overlay::testing {
namespace {

using sim::NatScope;

constexpr NatScope kAll = NatScope::address_and_port;
constexpr unsigned kRelayNumber = 100;  // whose keys it has
constexpr unsigned kSecondNumber = 101;

sys::UdpEndpoint at(const char* ip, std::uint16_t port = 4790) { return *sys::parse_udp_endpoint(ip, port); }

class Net {
 public:
  explicit Net(std::uint64_t seed, RelayLimits limits = {}) : random_(seed) {
    realms.add_host(0, at("198.51.100.1", 3478));
    const auto admitted = [this](const crypto::PublicKey& key, ByteView record) {
      return key != barred && (asked_for.empty() || as_text(record) == asked_for);
    };
    relay = std::make_unique<Relay>(
        key_pair_of(kRelayNumber), random_, [] { return WallTime{Seconds{1'700'000'000}}; }, test_ciphers(), limits,
        admitted);
  }
  unsigned add(sim::NatRealms::Realm realm, const sys::UdpEndpoint& address) {
    const auto number = static_cast<unsigned>(realms.add_host(realm, address));
    hosts_.push_back(std::make_unique<Host>(number, random_.below(1U << 30U)));
    auto& core = hosts_.back()->core;
    EXPECT_TRUE(core.use_relay(now, {key_pair_of(kRelayNumber).public_key(), realms.address(0)}));
    core.set_addresses(now, std::array{address});
    return number;
  }
  // Another relay, four times as near, for all hosts that are there.
  void add_second_relay() {
    second_at_ = realms.add_host(0, at("198.51.100.2", 3478));
    second = std::make_unique<Relay>(
        key_pair_of(kSecondNumber), random_, [] { return WallTime{Seconds{1'700'000'000}}; }, test_ciphers(),
        RelayLimits{}, [](const crypto::PublicKey&, ByteView) { return true; });
    for (auto& each : hosts_) {
      EXPECT_TRUE(each->core.use_relay(now, {key_pair_of(kSecondNumber).public_key(), realms.address(second_at_)}));
    }
  }
  void join(unsigned a, unsigned b, const sys::UdpEndpoint& known = {}) {
    host(a).peers[b] = host(a).core.add(now, spec_of(b), known);
    host(b).peers[a] = host(b).core.add(now, spec_of(a), {});
  }
  bool say(unsigned from, unsigned to, std::string_view text) {
    ByteVector datagram(kSealOverhead + text.size());
    std::ranges::copy(as_bytes(text), datagram.begin() + kSealHeader);
    const auto route = host(from).core.seal(now, host(from).peers.at(to), datagram);
    if (!route) return false;
    if (route->channel == 0) return send(from, route->to, datagram);
    ByteVector framed(kRelayHeader);
    write_carried_header(framed, route->channel);
    append(framed, datagram);
    return send(from, route->to, framed);
  }
  void run_for(Nanos span) {
    const auto end = now + span;
    while (now < end) {
      while (!events_.empty() && events_.top().at <= now) {
        const auto run = events_.top().run;
        events_.pop();
        run();
      }
      for (auto& each : hosts_) {
        each->core.poll(now);
        keep_connection(*each);
        for (const auto& out : each->core.take_out(now)) send(each->number, out.to, out.bytes);
      }
      for (const auto number : {std::size_t{0}, second_at_}) {
        if (!relay_at(number)) continue;
        RelayOut out;
        relay_at(number)->poll(now, out);
        send_of_relay(number, out);
      }
      now += Millis{5};
    }
  }
  // Both say something every 20 ms.
  void talk(unsigned a, unsigned b, Nanos span) {
    for (const auto end = now + span; now < end; run_for(Millis{20})) {
      said += static_cast<unsigned>(say(a, b, "from a")) + static_cast<unsigned>(say(b, a, "from b"));
    }
  }
  [[nodiscard]] bool direct(unsigned a, unsigned b) {
    const auto* best = host(a).core.paths().best(host(a).peers.at(b));
    return best && !is_relayed(*best);
  }
  // Its firewall lets no UDP out; TCP to the relay it does.
  void block_udp(unsigned number, bool blocked) { host(number).udp_blocked = blocked; }
  [[nodiscard]] bool connected(unsigned number) { return host(number).connected; }
  [[nodiscard]] Underlay& core(unsigned number) { return host(number).core; }

  sim::NatRealms realms;
  std::unique_ptr<Relay> relay;
  std::unique_ptr<Relay> second;  // as the first: none is one that is down
  crypto::PublicKey barred{};
  std::string asked_for;  // the record of a host that the first relay admits; empty: any, or none
  std::vector<std::string> heard;
  unsigned said{0};
  unsigned loss_percent{0};
  TimePoint now{Seconds{1000}};

 private:
  struct Host {
    Host(unsigned number_, std::uint64_t seed)
        : number(number_),
          random(seed),
          core(key_pair_of(number_), random, [] { return WallTime{Seconds{1'700'000'000}}; }, test_ciphers()) {}
    unsigned number;
    bool udp_blocked{false};
    bool connected{false};
    DrawnRandom random;
    Underlay core;
    std::map<unsigned, PeerId> peers;
  };
  struct Event {
    TimePoint at;
    std::uint64_t order;
    std::function<void()> run;
    bool operator<(const Event& other) const { return std::pair(at, order) > std::pair(other.at, other.order); }
  };

  [[nodiscard]] bool is_relay(std::size_t number) const {
    return number == 0 || (second_at_ != 0 && number == second_at_);
  }
  [[nodiscard]] Relay* relay_at(std::size_t number) {
    return number == 0 ? relay.get() : is_relay(number) ? second.get() : nullptr;
  }
  Host& host(unsigned number) { return *hosts_.at(number - 1); }
  void keep_connection(Host& host) {
    if (host.core.wants_relay_connection(0) == host.connected) return;
    host.connected = !host.connected;
    host.core.on_relay_connection(now, 0, host.connected);
  }
  // Between a host and the relay, whose connections have the numbers of the hosts.
  void send_by_connection(std::size_t from, std::uint32_t connection, ByteView bytes) {
    auto run = [this, from, connection, copy = ByteVector(bytes.begin(), bytes.end())]() mutable {
      if (from == 0) {
        const auto source = relayed_endpoint({RelayedKind::connection, 1});
        const auto opened = host(connection).core.on_datagram(now, source, copy);
        if (opened.what == Heard::data) heard.emplace_back(as_text(opened.payload));
        return;
      }
      RelayOut out;
      relay->on_datagram(now, relayed_endpoint({RelayedKind::connection, static_cast<std::uint32_t>(from)}), copy, out);
      send_of_relay(0, out);
    };
    events_.push({now + Millis{20}, ++order_, std::move(run)});
  }
  bool send(std::size_t from, const sys::UdpEndpoint& to, ByteView bytes) {
    if (is_relayed(to)) {
      send_by_connection(from, relayed_of(to)->number, bytes);
      return true;
    }
    if (!is_relay(from) && host(static_cast<unsigned>(from)).udp_blocked) return true;
    const auto arrival = realms.route(now, from, to);
    if (!arrival || random_.below(100) < loss_percent) return true;
    auto run = [this, where = *arrival, copy = ByteVector(bytes.begin(), bytes.end())]() mutable {
      if (is_relay(where.host)) {
        RelayOut out;
        if (auto* there = relay_at(where.host)) there->on_datagram(now, where.from, copy, out);
        return send_of_relay(where.host, out);
      }
      const auto opened = host(static_cast<unsigned>(where.host)).core.on_datagram(now, where.from, copy);
      if (opened.what == Heard::data) heard.emplace_back(as_text(opened.payload));
    };
    const bool near = second_at_ != 0 && (from == second_at_ || arrival->host == second_at_);
    events_.push({now + Millis{near ? 5 : 20}, ++order_, std::move(run)});
    return true;
  }
  void send_of_relay(std::size_t number, const RelayOut& out) {
    for (const auto& each : out.sends) send(number, each.to, each.bytes);
  }

  DrawnRandom random_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::priority_queue<Event> events_;
  std::uint64_t order_{0};
  std::size_t second_at_{0};  // 0: there is none
};

// Two hosts, each behind a NAT of its own.
struct Pair : Net {
  Pair(std::uint64_t seed, sim::NatSpec a, sim::NatSpec b, RelayLimits limits = {}) : Net(seed, limits) {
    realms.add_realm(0, a, at("203.0.113.1"), seed * 2);
    realms.add_realm(0, b, at("203.0.113.2"), seed * 2 + 1);
    add(1, at("10.1.0.2"));
    add(2, at("10.2.0.2"));
    join(1, 2);
  }
};

constexpr sim::NatSpec kPortRestricted{NatScope::endpoint, kAll};
constexpr sim::NatSpec kSymmetric{kAll, kAll};

TEST(UnderlayTest, TwoHostsThatKnowEachOthersKeysAndARelayTalkDirectly) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Pair pair(seed, kPortRestricted, kPortRestricted);
    pair.loss_percent = seed > 5 ? 5 : 0;
    pair.talk(1, 2, Seconds{10});
    pair.loss_percent = 0;
    pair.talk(1, 2, Seconds{6});
    pair.run_for(Millis{200});
    EXPECT_TRUE(pair.direct(1, 2));
    EXPECT_TRUE(pair.direct(2, 1));
    if (seed <= 5) {
      EXPECT_EQ(pair.heard.size(), pair.said) << "what was sealed, arrived";
    }
    // A handshake of which a message is lost takes five seconds longer, twice that if it is unlucky.
    EXPECT_GE(pair.said, 2 * (16'000 / 20 - (seed <= 5 ? 50 : 550))) << "and there was a session soon";
  }
}

TEST(UnderlayTest, WhereNoDirectWayCanBeTheRelayCarriesWhatItCannotRead) {
  Pair pair(1, kSymmetric, kSymmetric);
  pair.talk(1, 2, Seconds{10});
  pair.run_for(Millis{200});
  EXPECT_FALSE(pair.direct(1, 2));
  EXPECT_EQ(pair.heard.size(), pair.said);
  EXPECT_GE(pair.relay->counters().carried_datagrams, pair.said);
}

TEST(UnderlayTest, WhereUdpIsBlockedAConnectionToTheRelayCarriesUntilItIsNot) {
  Pair pair(8, kPortRestricted, kPortRestricted);
  pair.block_udp(1, true);
  pair.talk(1, 2, Seconds{10});
  EXPECT_TRUE(pair.connected(1));
  EXPECT_FALSE(pair.connected(2));
  pair.run_for(Millis{200});
  pair.said = 0;
  pair.heard.clear();
  pair.talk(1, 2, Seconds{60});
  pair.run_for(Millis{200});
  EXPECT_EQ(pair.heard.size(), pair.said);
  EXPECT_FALSE(pair.direct(1, 2));
  EXPECT_EQ(pair.core(1).relay()->mapped(), std::nullopt);

  pair.block_udp(1, false);
  pair.said = 0;
  pair.heard.clear();
  pair.talk(1, 2, Seconds{65});
  EXPECT_FALSE(pair.connected(1)) << "the relay was asked by UDP, and answered";
  EXPECT_GE(pair.heard.size() + 10, pair.said) << "what was on its way by the connection may be lost";
  pair.talk(1, 2, Seconds{20});
  EXPECT_TRUE(pair.direct(1, 2));
  EXPECT_TRUE(pair.direct(2, 1));
}

TEST(UnderlayTest, OfTwoRelaysTheNearerCarries) {
  Net net(9);
  net.realms.add_realm(0, kSymmetric, at("203.0.113.1"), 1);
  net.realms.add_realm(0, kSymmetric, at("203.0.113.2"), 2);
  net.add(1, at("10.1.0.2"));
  net.add(2, at("10.2.0.2"));
  net.add_second_relay();
  net.join(1, 2);
  net.talk(1, 2, Seconds{20});
  net.run_for(Millis{200});
  EXPECT_EQ(net.heard.size(), net.said) << "also while it was found out";
  const auto before = net.relay->counters().carried_datagrams;
  net.talk(1, 2, Seconds{20});
  EXPECT_LE(net.relay->counters().carried_datagrams - before, 20U) << "a probe now and then";
  EXPECT_GE(net.second->counters().carried_datagrams, 2000U);
}

TEST(UnderlayTest, WhenARelayDiesAnotherCarriesWithinSeconds) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Net net(seed);
    net.realms.add_realm(0, kSymmetric, at("203.0.113.1"), seed);
    net.realms.add_realm(0, kSymmetric, at("203.0.113.2"), seed + 100);
    net.add(1, at("10.1.0.2"));
    net.add(2, at("10.2.0.2"));
    net.add_second_relay();
    net.join(1, 2);
    net.talk(1, 2, Seconds{10} + Millis{100 * static_cast<int>(seed)});
    net.second.reset();
    net.talk(1, 2, Seconds{4});
    net.run_for(Millis{200});
    net.said = 0;
    net.heard.clear();
    net.talk(1, 2, Seconds{30});
    net.run_for(Millis{200});
    EXPECT_GE(net.heard.size() + 4, net.said);
    EXPECT_GE(net.said, 2900U);
  }
}

TEST(UnderlayTest, ARelayThatIsRestartedIsFoundAgain) {
  Pair pair(2, kSymmetric, kSymmetric);
  pair.talk(1, 2, Seconds{3});
  DrawnRandom random(99);
  pair.relay = std::make_unique<Relay>(
      key_pair_of(kRelayNumber), random, [] { return WallTime{Seconds{1'700'000'100}}; }, test_ciphers(), RelayLimits{},
      [](const crypto::PublicKey&, ByteView) { return true; });
  pair.talk(1, 2, Seconds{30});
  pair.said = 0;
  pair.heard.clear();
  pair.talk(1, 2, Seconds{2});
  EXPECT_GE(pair.said, 190U);
  EXPECT_GE(pair.heard.size() + 6, pair.said);
}

TEST(UnderlayTest, AHostThatIsNotAdmittedIsNoClient) {
  Net net(3);
  net.barred = key_pair_of(2).public_key();
  net.add(0, at("203.0.113.1"));
  net.add(0, at("203.0.113.2"));
  net.run_for(Seconds{5});
  EXPECT_EQ(net.relay->clients(), 1);
  EXPECT_GT(net.relay->counters().refused, 0);
  EXPECT_FALSE(net.core(2).relay()->mapped());
  EXPECT_EQ(net.core(1).relay()->mapped(), at("203.0.113.1"));
}

TEST(UnderlayTest, AHostThatGetsItsRecordIsAdmittedWithoutWaiting) {
  Net net(10);
  net.asked_for = "a cloud's word";
  net.add(0, at("203.0.113.1"));
  for (const auto& [record, admitted] : {std::pair("another's", false), std::pair("a cloud's word", true)}) {
    net.run_for(Millis{700});  // between two tries of its own
    EXPECT_EQ(net.relay->clients(), 0U);
    const auto refused = net.relay->counters().refused;
    ASSERT_TRUE(net.core(1).set_record(net.now, as_bytes(std::string_view(record))));
    net.run_for(Millis{150});
    EXPECT_EQ(net.core(1).relay()->mapped().has_value(), admitted) << record;
    EXPECT_EQ(net.relay->counters().refused - refused, admitted ? 0U : 1U);
  }
  const auto made = net.relay->session_counters().begun;
  ASSERT_TRUE(net.core(1).set_record(net.now, as_bytes(std::string_view("renewed"))));
  net.run_for(Millis{150});
  EXPECT_EQ(net.relay->session_counters().begun, made) << "who is in stays in";
}

TEST(UnderlayTest, AClientGetsItsRateAndNoMore) {
  Pair pair(4, kSymmetric, kSymmetric,
            {.clients = 8, .channels_a_client = 8, .bytes_per_s = 10'000, .burst = Seconds{1}});
  pair.talk(1, 2, Seconds{5});
  pair.heard.clear();
  const std::string text(980, 'x');
  const auto before = pair.relay->counters().carried_bytes;
  for (int i = 0; i < 500; ++i) {
    pair.say(1, 2, text);
    pair.run_for(Millis{20});
  }
  const auto carried = pair.relay->counters().carried_bytes - before;
  EXPECT_GT(pair.relay->counters().over_quota, 0);
  EXPECT_LE(carried, 2 * 11 * 10'000) << "ten seconds and the burst, each way";
  EXPECT_GE(carried, 8 * 10'000);
}

TEST(UnderlayTest, TablesOfTheRelayHaveEnds) {
  Net net(5, {.clients = 3, .channels_a_client = 1, .bytes_per_s = 1'000'000, .burst = Millis{200}});
  for (unsigned i = 1; i <= 5; ++i) net.add(0, at(fmt::format("203.0.113.{}", i).c_str()));
  net.run_for(Seconds{2});
  EXPECT_EQ(net.relay->clients(), 3);
  for (unsigned a = 1; a <= 5; ++a) {
    for (unsigned b = a + 1; b <= 5; ++b) net.join(a, b);
  }
  net.run_for(Seconds{5});
  EXPECT_LE(net.relay->channels(), 1);
  EXPECT_GT(net.relay->counters().full, 0);
}

TEST(UnderlayTest, NobodyElseCanSendByAChannel) {
  Pair pair(6, kSymmetric, kSymmetric);
  const auto other = pair.add(0, at("203.0.113.77"));
  pair.talk(1, 2, Seconds{3});
  ByteVector forged(kRelayHeader + 64);
  RelayOut out;
  for (std::uint32_t number = 0; number < 1U << 12U; ++number) {
    write_carried_header(forged, number << 20U);
    pair.relay->on_datagram(pair.now, pair.realms.address(other), forged, out);
  }
  EXPECT_TRUE(out.sends.empty());
}

TEST(UnderlayTest, WithoutARelayAKnownAddressIsEnough) {
  Net net(7);
  net.realms.add_realm(0, kSymmetric, at("203.0.113.1"), 1);
  net.add(1, at("10.1.0.2"));
  net.add(0, at("203.0.113.2"));
  net.barred = key_pair_of(1).public_key();  // so there is none for it
  net.join(1, 2, at("203.0.113.2"));
  net.talk(1, 2, Seconds{5});
  EXPECT_TRUE(net.direct(1, 2));
  EXPECT_TRUE(net.direct(2, 1));
  EXPECT_GE(net.heard.size() + 2, net.said);
  EXPECT_GT(net.said, 200U);
}

}  // namespace
}  // namespace godwit::overlay::testing
