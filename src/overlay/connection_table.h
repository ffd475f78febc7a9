// The conversations of one port: who began them, and until when they are remembered. Bounded, for the port and for all
// of a switch. Pure. The times: RFC 5382 (TCP), RFC 4787 (UDP), RFC 5508 (ICMP).
#pragma once

#include "base/time.h"
#include "overlay/packet_view.h"

#include <unordered_map>

namespace godwit::overlay {

constexpr std::size_t kMostConnectionsOfPort = 16'384;
constexpr std::size_t kMostConnections = 131'072;  // of a switch; about 100 bytes each
constexpr Seconds kTcpEstablished{2 * 3600 + 4 * 60};
constexpr Seconds kTcpOpeningOrClosing{240};
constexpr Seconds kTcpReset{10};
constexpr Seconds kUdpIdle{120};
constexpr Seconds kIcmpIdle{60};
constexpr Seconds kOtherIdle{120};
constexpr Seconds kFragments{30};
constexpr std::size_t kLeastSweep = 1024;
constexpr Seconds kSweepAtMostEvery{1};  // also of a table that is full

// What all tables of a switch share. Outlives them.
struct ConnectionBudget {
  std::size_t used{0};
  std::uint64_t seed{0};  // of their hashes: guests choose what is in them
};

// As the port sees it.
struct ConnectionKey {
  wire::Ipv6 local;
  wire::Ipv6 remote;
  std::uint16_t local_port{0};
  std::uint16_t remote_port{0};
  std::uint8_t protocol{0};

  bool operator==(const ConnectionKey&) const = default;
};

struct Connection {
  TimePoint until{};
  bool begun_here{false};  // else by the other side
  bool heard_local{false};
  bool heard_remote{false};
  bool finished_local{false};
  bool finished_remote{false};
  bool reset{false};

  [[nodiscard]] bool closed() const { return reset || (finished_local && finished_remote); }
};

class ConnectionTable {
 public:
  explicit ConnectionTable(ConnectionBudget& budget) : budget_(budget), connections_(0, Hash{budget.seed}) {}
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;
  ~ConnectionTable() { budget_.used -= connections_.size(); }

  // Nothing where there is none, or its time is over. Valid until the next add().
  [[nodiscard]] Connection* find(TimePoint now, const ConnectionKey& key);
  // In place of one that may be there. Nothing where the table, or all of the switch, is full.
  [[nodiscard]] Connection* add(TimePoint now, const ConnectionKey& key, bool begun_here);
  [[nodiscard]] std::size_t size() const { return connections_.size(); }

 private:
  struct Hash {
    std::uint64_t seed{0};
    std::size_t operator()(const ConnectionKey& key) const;
  };
  void sweep(TimePoint now);

  ConnectionBudget& budget_;
  std::unordered_map<ConnectionKey, Connection, Hash> connections_;
  std::size_t sweep_at_{kLeastSweep};  // what is over is removed when it has so many: a constant cost for each
  TimePoint next_sweep_{};
};

// A packet of it went by.
void touch(TimePoint now, Connection& known, const PacketView& packet, bool from_here);

}  // namespace godwit::overlay
