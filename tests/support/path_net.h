// For tests: hosts with Paths behind simulated NATs, and a relay, on a network that delays and loses. Sealing is left
// out: who sent a datagram is known.
#pragma once

#include "overlay/path.h"
#include "overlay/relay_endpoint.h"
#include "sim/nat.h"

#include <functional>
#include <queue>
#include <random>

namespace godwit::overlay::testing {

class SeededRandom final : public sys::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(ByteSpan out) override {
    for (auto& each : out) each = static_cast<std::byte>(engine_() >> 56U);
  }
  std::uint64_t below(std::uint64_t bound) { return (engine_() >> 8U) % bound; }

 private:
  std::mt19937_64 engine_;
};

inline sys::UdpEndpoint at(const char* ip, std::uint16_t port = 4790) { return *sys::parse_udp_endpoint(ip, port); }

class PathNet {
 public:
  static constexpr Seconds kToRelayEvery{10};

  explicit PathNet(std::uint64_t seed) : random_(seed) { realms.add_host(0, at("198.51.100.1", 3478)); }

  // Their PeerId for everybody is their number, from 1.
  unsigned add(sim::NatRealms::Realm realm, const sys::UdpEndpoint& address) {
    const auto number = static_cast<unsigned>(realms.add_host(realm, address));
    hosts_.push_back(std::make_unique<Host>(random_.below(~std::uint64_t{0})));
    every(kToRelayEvery, [this, number] { send(number, realms.address(0), {.what = What::to_relay}); });
    return number;
  }
  // Both may talk from now on: their session has come about by the relay.
  void join(unsigned a, unsigned b, bool relayed = true) {
    for (const auto& [one, other] : {std::pair{a, b}, std::pair{b, a}}) {
      host(one).paths.add(other, {.leads = one < other});
      const std::array channels{relayed_endpoint({RelayedKind::channel, other})};
      if (relayed) host(one).paths.set_relays(now_, other, channels);
      host(one).paths.on_ready(now_, other);
      flush(one);
    }
  }
  // Both say something every so often, for so long.
  void talk(unsigned a, unsigned b, Nanos span, Nanos pause = Millis{20}) {
    const auto end = now_ + span;
    while (now_ < end) {
      say(a, b);
      say(b, a);
      run_for(pause);
    }
  }
  void say(unsigned from, unsigned to) {
    ++said_;
    host(from).paths.on_sent(now_, to);
    const auto* best = host(from).paths.best(to);
    if (best) deliver(from, to, *best, {.what = What::data, .number = said_});
    flush(from);
  }
  void run_for(Nanos span) {
    const auto end = now_ + span;
    for (;;) {
      auto next = end;
      if (!events_.empty()) next = std::min(next, events_.top().at);
      for (const auto& each : hosts_) {
        if (const auto deadline = each->paths.next_deadline()) next = std::min(next, *deadline);
      }
      now_ = std::max(now_, next);
      if (now_ >= end) break;
      while (!events_.empty() && events_.top().at <= now_) {
        const auto run = events_.top().run;
        events_.pop();
        run();
      }
      for (unsigned i = 1; i <= hosts_.size(); ++i) {
        host(i).paths.poll(now_);
        flush(i);
      }
    }
  }
  // The host says what its addresses are now, as its relay's answers have it.
  void readdress(unsigned number) { send(number, realms.address(0), {.what = What::to_relay}); }

  [[nodiscard]] bool direct(unsigned a, unsigned b) {
    const auto* best = host(a).paths.best(b);
    return best && !is_relayed(*best);
  }
  [[nodiscard]] const PathPeer& path(unsigned from, unsigned to) { return *host(from).paths.find(to); }
  [[nodiscard]] Paths& paths(unsigned number) { return host(number).paths; }
  [[nodiscard]] std::uint64_t heard() const { return heard_; }
  [[nodiscard]] std::uint64_t said() const { return said_; }
  [[nodiscard]] std::uint64_t path_datagrams() const { return path_datagrams_; }
  [[nodiscard]] TimePoint now() const { return now_; }
  void forget_counts() { heard_ = said_ = path_datagrams_ = 0; }

  sim::NatRealms realms;
  unsigned loss_percent{0};
  // Longer datagrams are lost, and nobody is told.
  std::size_t longest_datagram{9000};
  bool relay_is_dead{false};
  std::function<Nanos(std::size_t from, std::size_t to)> delay = [](std::size_t, std::size_t) { return Millis{20}; };

 private:
  enum class What : std::uint8_t { to_relay, mapped, data, path };
  struct Datagram {
    What what{What::data};
    unsigned from{0};
    unsigned to{0};  // by the relay, if not 0
    bool relayed{false};
    std::uint64_t number{0};
    sys::UdpEndpoint mapped{};
    ByteVector payload{};
  };
  struct Host {
    explicit Host(std::uint64_t seed) : random(seed), paths(random) {}
    SeededRandom random;
    Paths paths;
    std::map<unsigned, std::uint64_t> greatest;
    sys::UdpEndpoint at_relay;
  };
  struct Event {
    TimePoint at;
    std::uint64_t order;
    std::function<void()> run;
    bool operator<(const Event& other) const { return std::pair(at, order) > std::pair(other.at, other.order); }
  };

  Host& host(unsigned number) { return *hosts_.at(number - 1); }
  void after(Nanos span, std::function<void()> run) { events_.push({now_ + span, ++order_, std::move(run)}); }
  void every(Nanos span, const std::function<void()>& run) {
    run();
    after(span, [=, this] { every(span, run); });
  }
  void flush(unsigned number) {
    for (auto& each : host(number).paths.take_out()) {
      ++path_datagrams_;
      deliver(number, each.peer, each.to, {.what = What::path, .number = ++said_by_paths_, .payload = each.payload});
    }
  }
  void deliver(unsigned from, unsigned to, const sys::UdpEndpoint& by, Datagram datagram) {
    datagram.from = from;
    datagram.to = to;
    datagram.relayed = is_relayed(by);
    send(from, datagram.relayed ? realms.address(0) : by, std::move(datagram));
  }
  void send(std::size_t from, const sys::UdpEndpoint& to, Datagram datagram) {
    const auto flight = realms.depart(now_, from, to);
    if (!flight || random_.below(100) < loss_percent) return;
    if (datagram.payload.size() + kSealOverhead > longest_datagram) return;
    after(delay(from, realms.host_towards(*flight)), [this, from, flight = *flight, datagram = std::move(datagram)] {
      const auto at = realms.arrive(now_, flight);
      if (!at) return;
      at->host == 0 ? on_relay(static_cast<unsigned>(from), at->from, datagram)
                    : on_host(static_cast<unsigned>(at->host), at->from, datagram);
    });
  }
  void on_relay(unsigned from, const sys::UdpEndpoint& source, const Datagram& datagram) {
    if (relay_is_dead) return;
    host(from).at_relay = source;
    if (datagram.what == What::to_relay) {
      send(0, source, {.what = What::mapped, .to = from, .mapped = source});
    } else if (host(datagram.to).at_relay) {
      send(0, host(datagram.to).at_relay, datagram);
    }
  }
  void on_host(unsigned number, const sys::UdpEndpoint& source, const Datagram& datagram) {
    if (datagram.to != number) return;  // not authentic there
    auto& me = host(number);
    if (datagram.what == What::mapped) {
      const std::array<Candidate, 2> own{Candidate{realms.address(number), CandidateKind::local},
                                         Candidate{datagram.mapped, CandidateKind::mapped}};
      me.paths.set_own(now_, std::span(own).first(own[0].at == own[1].at ? 1 : 2));
    } else {
      const auto by = datagram.relayed ? relayed_endpoint({RelayedKind::channel, datagram.from}) : source;
      if (datagram.what == What::path) {
        me.paths.on_message(now_, datagram.from, by, datagram.payload);
      } else {
        ++heard_;
        auto& greatest = me.greatest[datagram.from];
        me.paths.on_data(now_, datagram.from, by, datagram.number > greatest);
        greatest = std::max(greatest, datagram.number);
      }
    }
    flush(number);
  }

  SeededRandom random_;
  TimePoint now_{Seconds{1000}};
  std::vector<std::unique_ptr<Host>> hosts_;
  std::priority_queue<Event> events_;
  std::uint64_t order_{0};
  std::uint64_t said_{0};
  std::uint64_t heard_{0};
  std::uint64_t said_by_paths_{0};
  std::uint64_t path_datagrams_{0};
};

}  // namespace godwit::overlay::testing
