#include "overlay/peers.h"

#include <algorithm>
#include <array>

namespace godwit::overlay {

std::uint64_t draw_nonce(sys::Random& random) {
  std::array<std::byte, 8> bytes{};
  std::uint64_t nonce = 0;
  while (nonce == 0) {
    random.fill(bytes);
    nonce = load_be64(bytes);
  }
  return nonce;
}

namespace {

constexpr double kLossGain = 1.0 / 16;

void note_fate(std::optional<double>& loss, bool lost) {
  const double now = lost ? 1 : 0;
  loss = loss ? *loss + kLossGain * (now - *loss) : now;
}

}  // namespace

void Peers::update(TimePoint now, const Segments& segments) {
  decltype(peers_) kept;
  for (const auto& [id, segment] : segments.all()) {
    for (const auto& host : segment->hosts()) {
      if (kept.contains(host)) continue;
      auto found = peers_.extract(host);
      if (found) {
        found.mapped().network = id;
        kept.insert(std::move(found));
      } else {
        kept[host] = Peer{id, {}, 0, {}, now, kFirstProbe};
        next_ = now;
      }
    }
  }
  peers_ = std::move(kept);
}

void Peers::poll(TimePoint now, const Segments& segments, Outbox& out) {
  if (!next_ || now < *next_) return;
  next_.reset();
  for (auto& [id, peer] : peers_) {
    auto* segment = segments.find(peer.network);
    if (!segment) continue;
    if (peer.due <= now) {
      if (peer.round_trip) note_fate(peer.loss, peer.nonce != 0);
      peer.nonce = draw_nonce(random_);
      peer.sent = now;
      send_control(*segment, id, {peer.nonce, Probe{}}, out);
      peer.due = now + peer.interval;
      peer.interval = std::min<Nanos>(peer.round_trip ? kProbeEvery : peer.interval * 2, kProbeEvery);
    }
    next_ = std::min(next_.value_or(peer.due), peer.due);
  }
}

bool Peers::on_pong(TimePoint now, PeerId from, std::uint64_t nonce) {
  const auto found = peers_.find(from);
  if (found == peers_.end() || found->second.nonce == 0 || found->second.nonce != nonce) return false;
  auto& peer = found->second;
  const Nanos sample = now - peer.sent;
  peer.round_trip = peer.round_trip ? (*peer.round_trip * 7 + sample) / 8 : sample;
  peer.nonce = 0;
  return true;
}

std::optional<double> Peers::loss(PeerId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? std::nullopt : found->second.loss;
}

std::optional<Nanos> Peers::round_trip(PeerId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? std::nullopt : found->second.round_trip;
}

}  // namespace godwit::overlay
