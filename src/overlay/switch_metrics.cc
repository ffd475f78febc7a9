#include "overlay/switch_metrics.h"

#include "base/exposition.h"

#include <boost/describe.hpp>
#include <boost/mp11.hpp>
#include <map>

namespace godwit::overlay {
namespace {

using Kind = Exposition::Kind;

void add_networks(Exposition& out, const Counters& counters,
                  const std::function<std::string(std::uint32_t)>& network_of) {
  std::map<std::string, Traffic> sums;
  for (const auto& [pair, traffic] : counters.pairs()) {
    auto& sum = sums[network_of(pair.vni)];
    sum.frames += traffic.frames;
    sum.bytes += traffic.bytes;
  }
  out.family("godwit_switch_frames_total", Kind::counter, "Frames that entered the overlay here.");
  for (const auto& [network, sum] : sums) out.sample(static_cast<double>(sum.frames), {{"network", network}});
  out.family("godwit_switch_bytes_total", Kind::counter, "Their bytes, as on a wire.");
  for (const auto& [network, sum] : sums) out.sample(static_cast<double>(sum.bytes), {{"network", network}});
  out.add("godwit_switch_pairs", Kind::gauge, "Pairs of addresses that have talked.",
          static_cast<double>(counters.pairs().size()));
}

void add_drops(Exposition& out, const Counters& counters, const sys::PacketCounts& packets) {
  out.family("godwit_switch_dropped_total", Kind::counter, "Frames and datagrams that went nowhere, and why.");
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<Drop>>(
      [&](auto reason) { out.sample(static_cast<double>(counters.drops(reason.value)), {{"reason", reason.name}}); });
  out.sample(static_cast<double>(packets.refused), {{"reason", "refused_by_kernel"}});
  out.sample(static_cast<double>(packets.truncated), {{"reason", "truncated"}});
}

void add_peers(Exposition& out, const wire::Observation& seen) {
  const auto each_peer = [&](const auto& add) {
    for (const auto& peer : seen.peers) add(peer);
  };
  out.family("godwit_switch_peer_path", Kind::gauge, "1: by which way the peer is reached.");
  each_peer([&](const wire::PeerStatus& peer) {
    out.sample(1, {{"cloud", peer.cloud},
                   {"host", peer.host},
                   {"path", boost::describe::enum_to_string(peer.path, "none")},
                   {"profile", boost::describe::enum_to_string(peer.profile, "native")}});
  });
  out.family("godwit_switch_peer_session_seconds", Kind::gauge, "Age of the session with the peer; none without one.");
  each_peer([&](const wire::PeerStatus& peer) {
    if (peer.session_s) out.sample(*peer.session_s, {{"cloud", peer.cloud}, {"host", peer.host}});
  });
  out.family("godwit_switch_peer_round_trip_seconds", Kind::gauge, "Smoothed round trip of probes to the peer.");
  each_peer([&](const wire::PeerStatus& peer) {
    if (peer.round_trip_ms) out.sample(*peer.round_trip_ms / 1000, {{"cloud", peer.cloud}, {"host", peer.host}});
  });
  out.family("godwit_switch_peer_loss_ratio", Kind::gauge, "Share of probes to the peer that were lost, smoothed.");
  each_peer([&](const wire::PeerStatus& peer) {
    if (peer.loss) out.sample(*peer.loss, {{"cloud", peer.cloud}, {"host", peer.host}});
  });
}

}  // namespace

std::string switch_metrics(const Counters& counters, const sys::PacketCounts& packets, const wire::Observation& seen,
                           const std::function<std::string(std::uint32_t)>& network_of) {
  Exposition out;
  add_networks(out, counters, network_of);
  add_drops(out, counters, packets);
  add_peers(out, seen);
  out.add("godwit_switch_announced_elsewhere", Kind::gauge,
          "Members that announce themselves here while their records say another host.",
          static_cast<double>(seen.announced.size()));
  return out.text();
}

}  // namespace godwit::overlay
