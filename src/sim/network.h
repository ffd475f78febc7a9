// What lies between simulated hosts: delays, rates, and cuts.
#pragma once

#include "sim/world.h"

#include <map>
#include <set>
#include <string>
#include <utility>

namespace godwit::sim {

class Connection;

// A stream whose bytes stay unacknowledged for so long breaks, as the real one does (TCP_USER_TIMEOUT, keepalive).
inline constexpr Seconds kUnacknowledged{10};
// From a healed cut to the first byte that gets through again: TCP's retransmission timer.
inline constexpr Millis kRetransmit{200};

struct LinkSpec {
  Nanos delay{Millis{20}};                   // one way
  std::uint64_t bytes_per_s{12'500'000};     // 0: no limit
  std::uint64_t window_bytes{512UL << 10U};  // of a stream: unread at its receiver, or under way
};

class Network final {
 public:
  explicit Network(World& world) : world_(world) {}

  // Between two sites, both ways; `a` == `b`: the LAN of a site. Defaults: 100 Mbit/s and 40 ms round trip between
  // sites, 0.2 ms and no limit within one.
  void set_link(const std::string& a, const std::string& b, LinkSpec spec);
  // What the host's own link carries, each way, to and from all others together. 0: no limit, as it begins.
  void set_nic(const std::string& host, std::uint64_t out_bytes_per_s, std::uint64_t in_bytes_per_s);
  // Bytes that went from one site to the other, so far.
  [[nodiscard]] std::uint64_t carried(const std::string& from_site, const std::string& to_site) const;
  // Nothing passes between `a` and `b` (names of hosts or sites) until healed; what was under way waits.
  void cut(const std::string& a, const std::string& b);
  void heal(const std::string& a, const std::string& b);
  void heal_all();

  [[nodiscard]] bool is_cut(const Host& a, const Host& b) const;
  [[nodiscard]] Nanos delay(const Host& from, const Host& to) const;
  [[nodiscard]] std::uint64_t window_bytes(const Host& from, const Host& to) const;
  // When `bytes` that leave now are there.
  [[nodiscard]] TimePoint arrival(const Host& from, const Host& to, std::size_t bytes);
  [[nodiscard]] Host* by_ip(const std::string& ip) const;
  void add(Host& host);

 private:
  friend class Connection;
  struct Queue {
    std::uint64_t bytes_per_s{0};
    TimePoint free_at{};

    // When so many bytes more, from now on, have passed it.
    TimePoint pass(TimePoint now, std::size_t bytes);
  };
  struct Link {
    LinkSpec spec;
    Queue queue;
    std::uint64_t carried{0};
  };
  struct Nic {
    Queue out;
    Queue in;
  };
  [[nodiscard]] Link& link(const Host& from, const Host& to);
  void wake_stalled();

  World& world_;
  std::map<std::pair<std::string, std::string>, LinkSpec> specs_;
  std::map<std::pair<std::string, std::string>, Link> links_;
  std::map<const Host*, Nic> nics_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::map<std::string, Host*> by_ip_;
  std::map<std::uint64_t, Connection*> connections_;
  std::uint64_t next_connection_{1};
};

}  // namespace godwit::sim
