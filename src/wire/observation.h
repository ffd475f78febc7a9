// What the switch of a host saw in the last whole interval: who talked with whom, and how the other hosts are reached.
// The same from the switch's control socket (`observe`), in an agent's report and from sky.
#pragma once

#include "wire/network.h"

#include <optional>

namespace godwit::wire {

// Frames and bytes that entered the overlay at this host, as they stand on a wire: a pair is counted by one host only.
struct PairTraffic {
  std::string network;
  std::string source_mac;
  std::string destination_mac;
  std::uint64_t packets{0};
  std::uint64_t bytes{0};

  bool operator==(const PairTraffic&) const = default;
};
BOOST_DESCRIBE_STRUCT(PairTraffic, (), (network, source_mac, destination_mac, packets, bytes))

// Estimated from samples: one in Observation::one_in packets, drawn by chance.
struct FlowTraffic {
  std::string network;
  std::string protocol;  // "tcp", "udp", "icmp", "icmp6", or its number
  std::string source_ip;
  std::uint16_t source_port{0};  // 0: it has none, or the packet is a fragment
  std::string destination_ip;
  std::uint16_t destination_port{0};
  std::uint64_t packets{0};
  std::uint64_t bytes{0};

  bool operator==(const FlowTraffic&) const = default;
};
BOOST_DESCRIBE_STRUCT(FlowTraffic, (),
                      (network, protocol, source_ip, source_port, destination_ip, destination_port, packets, bytes))

// By which way a host is reached now. mapped: through a NAT's mapping, of either end. none: no way is known.
BOOST_DEFINE_ENUM_CLASS(PathKind, none, direct, mapped, relayed)
BOOST_DEFINE_ENUM_CLASS(SessionKind, native, wireguard)

struct PeerStatus {
  std::string cloud;  // empty: of a key that no record names any more
  std::string host;
  SessionKind profile{SessionKind::native};
  PathKind path{PathKind::none};
  std::string endpoint;                   // where its datagrams go: its own, or the relay's
  std::optional<double> round_trip_ms{};  // smoothed; measured by probes through the whole of both switches
  std::optional<double> loss{};           // of those probes, 0 to 1, smoothed over about 16
  std::optional<double> session_s{};      // the session's age; none: there is none
  std::uint64_t sent_bytes{0};            // datagrams in the interval, both ends' headers included
  std::uint64_t received_bytes{0};

  bool operator==(const PeerStatus&) const = default;
};
BOOST_DESCRIBE_STRUCT(PeerStatus, (),
                      (cloud, host, profile, path, endpoint, round_trip_ms, loss, session_s, sent_bytes,
                       received_bytes))

// A hint, and no more: a member announces itself at a device of this host, while its record says another host. Another
// manager has moved it there, or somebody lies.
struct AnnouncedElsewhere {
  std::string network;
  std::string instance;
  std::string at;  // the instance whose device that is, itself as a rule; empty: the network's LAN

  bool operator==(const AnnouncedElsewhere&) const = default;
};
BOOST_DESCRIBE_STRUCT(AnnouncedElsewhere, (), (network, instance, at))

struct Observation {
  std::string cloud;
  std::string host;
  std::int64_t ended_ms{0};        // Unix time; 0: no interval is over yet
  std::uint32_t interval_ms{0};    // its length
  std::uint32_t one_in{0};         // packets sampled for `flows`
  std::vector<PairTraffic> pairs;  // the largest, largest first
  std::vector<FlowTraffic> flows;  // likewise
  std::uint64_t other_packets{0};  // of pairs that are not named
  std::uint64_t other_bytes{0};
  std::vector<PeerStatus> peers;
  std::vector<AnnouncedElsewhere> announced{};

  bool operator==(const Observation&) const = default;
};
BOOST_DESCRIBE_STRUCT(Observation, (),
                      (cloud, host, ended_ms, interval_ms, one_in, pairs, flows, other_packets, other_bytes, peers,
                       announced))

constexpr std::size_t kMostObservedPairs = 256;
constexpr std::size_t kMostObservedFlows = 64;
constexpr std::size_t kMostObservedPeers = 1024;
constexpr std::size_t kMostAnnounced = 64;

// For people: what the switch of that host says of `member`, whose location is the record.
[[nodiscard]] std::string hint_text(const Member& member, const AnnouncedElsewhere& said, const std::string& cloud,
                                    const std::string& host);

// GET /v1/networks/{id}/observation: of the cloud's hosts (of a cloud), or of all (of sky), what is of this network.
struct NetworkObservation {
  Network network;  // without its key
  std::vector<Observation> hosts;
  std::vector<std::string> problems;  // hints that members are elsewhere; clouds that sky could not ask, and why
};
BOOST_DESCRIBE_STRUCT(NetworkObservation, (), (network, hosts, problems))

}  // namespace godwit::wire
