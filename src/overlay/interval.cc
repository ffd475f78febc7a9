#include "overlay/interval.h"

#include "overlay/hint.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

Traffic difference(const Traffic& now, const Traffic& before) {
  return {now.frames - before.frames, now.bytes - before.bytes};
}

wire::PathKind path_of(const PeerView& view) {
  if (!view.endpoint) return wire::PathKind::none;
  if (view.way == WayKind::relay) return wire::PathKind::relayed;
  return view.mapped ? wire::PathKind::mapped : wire::PathKind::direct;
}

}  // namespace

void Interval::poll(TimePoint now, WallTime wall) {
  if (!began_) began_ = now;
  if (now - *began_ < kObservedInterval) return;
  length_ = now - *began_;
  ended_ms_ = std::chrono::duration_cast<Millis>(wall.time_since_epoch()).count();
  began_ = now;
  end_pairs();
  flows_ = of_.flows.take(wire::kMostObservedFlows);
  end_peers(now);
}

void Interval::end_pairs() {
  pairs_.clear();
  others_ = {};
  for (auto& [key, counts] : of_.counters.pairs()) {
    const auto traffic = difference(counts, counts.told);
    counts.told = counts;
    if (traffic.frames != 0) pairs_.push_back({key, traffic});
  }
  const auto larger = [](const Pair& a, const Pair& b) {
    return a.traffic.bytes != b.traffic.bytes ? a.traffic.bytes > b.traffic.bytes : a.key < b.key;
  };
  const auto kept = std::min(wire::kMostObservedPairs, pairs_.size());
  std::partial_sort(pairs_.begin(), pairs_.begin() + static_cast<std::ptrdiff_t>(kept), pairs_.end(), larger);
  for (const auto& each : std::span(pairs_).subspan(kept)) {
    others_.frames += each.traffic.frames;
    others_.bytes += each.traffic.bytes;
  }
  pairs_.resize(kept);
}

void Interval::end_peers(TimePoint now) {
  decltype(peers_) kept;
  for (const auto peer : of_.hosts.all()) {
    const auto view = of_.seal.view(now, peer);
    if (!view) continue;
    const auto& told = peers_[peer].told;
    kept[peer] = {view->bytes, {view->bytes.sent - told.sent, view->bytes.received - told.received}};
  }
  peers_ = std::move(kept);
}

wire::Observation Interval::describe(TimePoint now) const {
  wire::Observation out;
  out.ended_ms = ended_ms_;
  out.interval_ms = static_cast<std::uint32_t>(std::chrono::duration_cast<Millis>(length_).count());
  out.one_in = FlowSampler::kOneIn;
  out.other_packets = others_.frames;
  out.other_bytes = others_.bytes;
  for (const auto& each : pairs_) {
    const auto* segment = of_.segments.find(each.key.vni);
    if (!segment) {
      out.other_packets += each.traffic.frames;
      out.other_bytes += each.traffic.bytes;
      continue;
    }
    out.pairs.push_back({segment->id(), to_string(each.key.source), to_string(each.key.destination),
                         each.traffic.frames, each.traffic.bytes});
  }
  for (const auto& each : flows_) {
    const auto* segment = of_.segments.find(each.key.vni);
    if (!segment) continue;
    out.flows.push_back({segment->id(), protocol_of(each.key), source_of(each.key), each.key.source_port,
                         destination_of(each.key), each.key.destination_port, each.traffic.frames, each.traffic.bytes});
  }
  for (const auto peer : of_.hosts.all()) {
    if (out.peers.size() < wire::kMostObservedPeers) describe_peer(now, peer, out);
  }
  out.announced = hints_of(now, of_.segments);
  std::ranges::sort(out.peers,
                    [](const auto& a, const auto& b) { return std::tie(a.cloud, a.host) < std::tie(b.cloud, b.host); });
  return out;
}

void Interval::describe_peer(TimePoint now, PeerId peer, wire::Observation& out) const {
  const auto view = of_.seal.view(now, peer);
  if (!view) return;
  auto& status = out.peers.emplace_back();
  if (const auto* name = of_.roster.find(view->key)) std::tie(status.cloud, status.host) = *name;
  status.profile = view->profile == Profile::native ? wire::SessionKind::native : wire::SessionKind::wireguard;
  status.path = path_of(*view);
  if (view->endpoint) status.endpoint = sys::to_string(view->endpoint);
  if (const auto round_trip = of_.peers.round_trip(peer)) status.round_trip_ms = to_ms(*round_trip);
  status.loss = of_.peers.loss(peer);
  if (view->session_since) status.session_s = to_ms(now - *view->session_since) / 1000;
  const auto bytes = peers_.find(peer);
  if (bytes == peers_.end()) return;
  status.sent_bytes = bytes->second.interval.sent;
  status.received_bytes = bytes->second.interval.received;
}

}  // namespace godwit::overlay
