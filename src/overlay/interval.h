// What a switch saw, interval by interval: the traffic of pairs, of sampled flows and of its peers. Pure.
#pragma once

#include "overlay/flow_sampler.h"
#include "overlay/hosts.h"
#include "overlay/peers.h"
#include "wire/observation.h"

namespace godwit::overlay {

constexpr Seconds kObservedInterval{5};

// All are borrowed.
struct Observed {
  Counters& counters;
  FlowSampler& flows;
  const Segments& segments;
  const Hosts& hosts;
  const Roster& roster;
  const Seal& seal;
  const Peers& peers;
};

// One strand.
class Interval {
 public:
  explicit Interval(const Observed& observed) : of_(observed) {}

  // Ends the interval when it is over, and begins the next. Between, pairs cost nothing: what they had counted at its
  // beginning is kept beside them.
  void poll(TimePoint now, WallTime wall);
  // The last whole one, how the peers are reached now, and the hints. Pairs and flows of networks that are gone are
  // left out.
  [[nodiscard]] wire::Observation describe(TimePoint now) const;

 private:
  struct Pair {
    PairKey key;
    Traffic traffic;
  };
  struct PeerBytes {
    SealedBytes told;      // in all, when the interval ended
    SealedBytes interval;  // of it
  };
  void end_pairs();
  void end_peers(TimePoint now);
  void describe_peer(TimePoint now, PeerId peer, wire::Observation& out) const;

  Observed of_;
  std::optional<TimePoint> began_;
  std::int64_t ended_ms_{0};
  Nanos length_{0};
  std::vector<Pair> pairs_;  // the largest
  Traffic others_;
  std::vector<FlowSampler::Flow> flows_;
  std::unordered_map<PeerId, PeerBytes> peers_;
};

}  // namespace godwit::overlay
