#include "overlay/connection_table.h"

#include "overlay/headers.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr std::uint8_t kIcmp = 1;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

Seconds idle_time(const Connection& known, std::uint8_t protocol) {
  switch (protocol) {
    case kTcp:
      if (known.reset) return kTcpReset;
      return known.heard_local && known.heard_remote && !known.closed() ? kTcpEstablished : kTcpOpeningOrClosing;
    case kUdp: return kUdpIdle;
    case kIcmp:
    case wire::kIcmpv6: return kIcmpIdle;
    default: return kOtherIdle;
  }
}

}  // namespace

std::size_t ConnectionTable::Hash::operator()(const ConnectionKey& key) const {
  auto hash = mix(key.local.high ^ seed, key.local.low ^ 0x9e3779b97f4a7c15ULL);
  hash = mix(key.remote.high ^ hash, key.remote.low ^ seed);
  const auto ports = std::uint64_t{key.local_port} << 24U | std::uint64_t{key.remote_port} << 8U | key.protocol;
  return mix(hash ^ ports, seed | 1U);
}

Connection* ConnectionTable::find(TimePoint now, const ConnectionKey& key) {
  const auto found = connections_.find(key);
  return found == connections_.end() || found->second.until <= now ? nullptr : &found->second;
}

Connection* ConnectionTable::add(TimePoint now, const ConnectionKey& key, bool begun_here) {
  const bool full = connections_.size() >= kMostConnectionsOfPort || budget_.used >= kMostConnections;
  if (connections_.size() >= sweep_at_ || full) sweep(now);
  auto found = connections_.find(key);
  if (found == connections_.end()) {
    if (connections_.size() >= kMostConnectionsOfPort || budget_.used >= kMostConnections) return nullptr;
    found = connections_.try_emplace(key).first;
    ++budget_.used;
  }
  found->second = Connection{};
  found->second.begun_here = begun_here;
  return &found->second;
}

void ConnectionTable::sweep(TimePoint now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepAtMostEvery;
  budget_.used -= std::erase_if(connections_, [&](const auto& each) { return each.second.until <= now; });
  sweep_at_ = std::max<std::size_t>(kLeastSweep, 2 * connections_.size());
}

void touch(TimePoint now, Connection& known, const PacketView& packet, bool from_here) {
  (from_here ? known.heard_local : known.heard_remote) = true;
  if (packet.finishes) (from_here ? known.finished_local : known.finished_remote) = true;
  if (packet.resets) known.reset = true;
  known.until = now + idle_time(known, packet.ends.protocol);
}

}  // namespace godwit::overlay
