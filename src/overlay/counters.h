// What a switch counts: frames and bytes of every pair of addresses, and why it dropped what it dropped.
#pragma once

#include "wire/ethernet.h"

#include <array>
#include <boost/describe/enum.hpp>
#include <cstdint>
#include <unordered_map>

namespace godwit::overlay {

// clang-format off
BOOST_DEFINE_ENUM_CLASS(Drop,
  not_attached,         // from a device that belongs to no port
  malformed,            // cut short, or no frame or datagram of ours
  too_big,              // longer than the network's MTU allows
  not_claimed,          // from or for a port whose instance is not (or not yet, or no longer) here
  spoofed_mac,          // the guest's source address is not its own
  spoofed_ip,
  not_a_router,         // a guest's router advertisement, or redirect
  not_a_server,         // a guest's answer to a DHCP client
  too_many_to_groups,   // broadcasts and multicasts of a port beyond its rate
  not_allowed,          // by no rule of its guest's security groups
  too_many_connections, // allowed, but no more can be remembered
  unsupported,          // VLAN tags
  needless,             // announcements of an address to neighbours: locations do that
  unknown_destination,  // no member has this address: unknown unicast is never flooded
  not_located,          // the member is nowhere
  no_device,            // its guest's device is not there (yet)
  no_gateway,
  gateway_only_local,   // from a gateway to a member elsewhere, or from elsewhere to a gateway
  unknown_network,
  not_a_member_host,    // data from a host that no member of the network is at
  not_authentic,
  unproven,             // a location with a higher version that nobody who may has given to that host
  no_session,           // for a host to which there is no session (yet)
  stray,                // for an instance that left, too late or too often forwarded
  held_too_many,        // for an instance that stands still, more than is kept
  late,                 // an answer that nobody waits for
  not_open,             // from another host to a port of this one that is not for others
  crowded)              // more output than a batch holds
// clang-format on
constexpr std::size_t kDropReasons = static_cast<std::size_t>(Drop::crowded) + 1;

struct PairKey {
  std::uint32_t vni{0};
  wire::Mac source;
  wire::Mac destination;

  auto operator<=>(const PairKey&) const = default;
};

struct PairKeyHash {
  std::size_t operator()(const PairKey& key) const {
    return (key.source.bits * 0x9e3779b97f4a7c15ULL) ^ (key.destination.bits * 0xc2b2ae3d27d4eb4fULL) ^ key.vni;
  }
};

struct Traffic {
  std::uint64_t frames{0};
  std::uint64_t bytes{0};  // of the whole frame
};

// Of a pair, since the switch started.
struct PairCounts : Traffic {
  Traffic told;  // when the last interval ended
};

class Counters {
 public:
  // Pairs beyond it share the all-zero key: a guest can't make the switch grow, and all fit one
  // line of the control socket.
  static constexpr std::size_t kMostPairs = 16'384;

  Counters() = default;
  Counters(const Counters&) = delete;  // it points into its table
  Counters& operator=(const Counters&) = delete;

  void drop(Drop why, std::uint64_t frames = 1) { drops_[static_cast<std::size_t>(why)] += frames; }
  [[nodiscard]] std::uint64_t drops(Drop why) const { return drops_[static_cast<std::size_t>(why)]; }

  // Allocates only when the pair is seen for the first time.
  // `frames` and `bytes` are what is on a wire: a super-frame counts as its segments.
  void count(const PairKey& pair, std::size_t frames, std::size_t bytes) {
    auto*& recent = recent_[PairKeyHash()(pair) >> kRecentShift];
    if (!recent || recent->first != pair) recent = &counts_of(pair);
    recent->second.frames += frames;
    recent->second.bytes += bytes;
  }
  [[nodiscard]] const std::unordered_map<PairKey, PairCounts, PairKeyHash>& pairs() const { return pairs_; }
  // Nothing may be added or removed.
  [[nodiscard]] std::unordered_map<PairKey, PairCounts, PairKeyHash>& pairs() { return pairs_; }

 private:
  using Counted = std::pair<const PairKey, PairCounts>;
  static constexpr unsigned kRecentBits = 10;
  static constexpr unsigned kRecentShift = 64 - kRecentBits;

  [[nodiscard]] Counted& counts_of(const PairKey& pair) {
    const auto found = pairs_.find(pair);
    if (found != pairs_.end()) return *found;
    return *pairs_.try_emplace(pairs_.size() < kMostPairs ? pair : PairKey{}).first;
  }

  std::array<std::uint64_t, kDropReasons> drops_{};
  // Who spoke last, where the hash's upper bits say: most frames need no look into the table, which nothing is ever
  // removed from.
  std::array<Counted*, std::size_t{1} << kRecentBits> recent_{};
  std::unordered_map<PairKey, PairCounts, PairKeyHash> pairs_;
};

}  // namespace godwit::overlay
