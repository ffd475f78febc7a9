// A simulated NAT, and realms of hosts behind them. Pure: datagrams and times in, where they come out. One thread.
// Words: RFC 4787 (mapping, filtering, hairpinning).
#pragma once

#include "base/time.h"
#include "sys/packet.h"

#include <map>
#include <optional>
#include <random>
#include <vector>

namespace godwit::sim {

// What a mapping is for, or who may use it from outside.
enum class NatScope : std::uint8_t { endpoint = 1, address, address_and_port };

struct NatSpec {
  NatScope mapping{NatScope::endpoint};    // endpoint: endpoint-independent, and so on
  NatScope filtering{NatScope::endpoint};  // endpoint: anybody
  Nanos timeout{Seconds{120}};             // of silence outwards
  bool preserves_ports{false};             // where it can; else it draws them
  bool hairpins{false};
  bool refuses_udp{false};
  // As Linux does where its INPUT chain accepts: who is no host's peer is taken for the router's own, for so long as it
  // goes on and kStrangerTimeout more; a host that then sends there is given another port for it.
  bool answers_strangers{false};
  static constexpr Seconds kStrangerTimeout{30};
};

class Nat {
 public:
  // `outside` is its public address; the port is ignored.
  Nat(NatSpec spec, sys::UdpEndpoint outside, std::uint64_t seed) : spec_(spec), outside_(outside), random_(seed) {}

  // As whom `inside` is seen by `to`. None: refused, or no port is free.
  [[nodiscard]] std::optional<sys::UdpEndpoint> translate_out(TimePoint now, const sys::UdpEndpoint& inside,
                                                              const sys::UdpEndpoint& to);
  // Whom a datagram of `from` to `outside` is for. None: filtered.
  [[nodiscard]] std::optional<sys::UdpEndpoint> translate_in(TimePoint now, const sys::UdpEndpoint& from,
                                                             const sys::UdpEndpoint& outside);
  // Forgets every mapping, and draws other ports.
  void reboot() {
    mappings_.clear();
    by_key_.clear();
  }
  // Moves to another public address, as DSL lines do at night: nothing that was mapped leads here any more.
  void move_to(const sys::UdpEndpoint& outside) {
    reboot();
    outside_ = outside;
  }
  [[nodiscard]] const NatSpec& spec() const { return spec_; }
  [[nodiscard]] bool is_at(const sys::UdpEndpoint& endpoint) const { return endpoint.ip == outside_.ip; }

 private:
  using Key = std::pair<sys::UdpEndpoint, sys::UdpEndpoint>;  // inside, and what the mapping depends on
  struct Mapping {
    Key key;
    TimePoint used{};
    std::map<sys::UdpEndpoint, TimePoint> sent_to;  // as filtering tells them apart; forgotten one by one
  };
  [[nodiscard]] Mapping* find(TimePoint now, std::uint16_t port);
  [[nodiscard]] Key key_of(TimePoint now, const sys::UdpEndpoint& inside, const sys::UdpEndpoint& to);
  [[nodiscard]] std::optional<std::uint16_t> draw_port(TimePoint now, std::uint16_t wish);

  NatSpec spec_;
  sys::UdpEndpoint outside_;
  std::mt19937_64 random_;
  std::map<std::uint16_t, Mapping> mappings_;
  std::map<Key, std::uint16_t> by_key_;
  std::map<std::pair<sys::UdpEndpoint, std::uint16_t>, TimePoint> strangers_;  // by the port that they sent to
};

// Hosts in realms: realm 0 is the Internet, each other one lies behind a NAT of its own in another realm.
class NatRealms {
 public:
  using Realm = std::size_t;
  struct Arrival {
    std::size_t host{0};
    sys::UdpEndpoint from;
    sys::UdpEndpoint to;
  };

  // Behind a NAT that is at `outside` in `parent`.
  Realm add_realm(Realm parent, NatSpec spec, const sys::UdpEndpoint& outside, std::uint64_t seed);
  std::size_t add_host(Realm realm, const sys::UdpEndpoint& address);
  void move_host(std::size_t host, Realm realm, const sys::UdpEndpoint& address) { hosts_.at(host) = {realm, address}; }
  [[nodiscard]] Nat& nat(Realm realm) { return sites_.at(realm - 1).nat; }
  [[nodiscard]] const sys::UdpEndpoint& address(std::size_t host) const { return hosts_.at(host).address; }

  // A datagram that has left its host's NATs, and comes to those of `to`, or to its host.
  struct Flight {
    Realm realm{0};
    sys::UdpEndpoint from;
    sys::UdpEndpoint to;
  };
  // A datagram of `host`, sent from its address now; and where it comes out, when it is there.
  [[nodiscard]] std::optional<Flight> depart(TimePoint now, std::size_t host, sys::UdpEndpoint to);
  [[nodiscard]] std::optional<Arrival> arrive(TimePoint now, const Flight& flight);
  // Both, where it takes no time.
  [[nodiscard]] std::optional<Arrival> route(TimePoint now, std::size_t host, const sys::UdpEndpoint& to) {
    const auto flight = depart(now, host, to);
    return flight ? arrive(now, *flight) : std::nullopt;
  }
  // Some host there, whether the NATs let it in or not; 0 where it can't be said.
  [[nodiscard]] std::size_t host_towards(const Flight& flight) const;

 private:
  struct Host {
    Realm realm{0};
    sys::UdpEndpoint address;
  };
  struct Site {  // a realm's end: realm i is sites_[i - 1]
    Realm parent{0};
    Nat nat;
  };
  [[nodiscard]] std::optional<std::size_t> host_at(Realm realm, const sys::UdpEndpoint& endpoint) const;
  [[nodiscard]] std::optional<Realm> realm_behind(Realm parent, const sys::UdpEndpoint& endpoint) const;

  std::vector<Host> hosts_;
  std::vector<Site> sites_;
};

}  // namespace godwit::sim
