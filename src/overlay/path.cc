#include "overlay/path.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr Millis kLeastPause{1};

}  // namespace

PathPeer* Paths::find_mutable(PeerId peer) { return const_cast<PathPeer*>(std::as_const(*this).find(peer)); }

void Paths::add(PeerId peer, PeerOptions options) {
  if (peer == kNobody || find(peer)) return;
  const auto slot = slot_of(peer);
  if (slot >= slots_.size()) {
    slots_.resize(slot + 1);
    deadlines_.reserve(slots_.size());
  }
  slots_[slot] = std::make_unique<Slot>(peer, PathPeer(peer, options.leads, options.speaks));
  deadlines_.set(slot, std::nullopt);
}

void Paths::remove(PeerId peer) {
  if (!find(peer)) return;
  slots_[slot_of(peer)].reset();
  deadlines_.set(slot_of(peer), std::nullopt);
  std::erase_if(scope_.out, [peer](const PathSend& each) { return each.peer == peer; });
}

void Paths::configure(TimePoint now, PeerId peer, const sys::UdpEndpoint& at) {
  auto* path = find_mutable(peer);
  if (!path || !at) return;
  path->add_configured(now, at);
  arm(peer, *path);
}

void Paths::set_relays(TimePoint now, PeerId peer, std::span<const sys::UdpEndpoint> best_first) {
  auto* path = find_mutable(peer);
  if (!path) return;
  path->set_relays(now, best_first);
  arm(peer, *path);
}

void Paths::set_own(TimePoint now, std::span<const Candidate> own) {
  own = own.first(std::min(own.size(), kMostCandidates));
  if (std::ranges::equal(own, scope_.own)) return;
  scope_.own.assign(own.begin(), own.end());
  for (const auto& each : slots_) {
    if (!each) continue;
    each->path.on_own_changed(now);
    arm(each->id, each->path);
  }
}

void Paths::on_ready(TimePoint now, PeerId peer) {
  auto* path = find_mutable(peer);
  if (!path) return;
  path->on_ready(now);
  arm(peer, *path);
}

void Paths::on_data(TimePoint now, PeerId peer, const sys::UdpEndpoint& from, bool newest) {
  auto* path = find_mutable(peer);
  if (!path) return;
  path->on_data(now, from, newest);
  arm_at_most(peer, *path);
}

void Paths::on_message(TimePoint now, PeerId peer, const sys::UdpEndpoint& from, ByteView payload) {
  auto* path = find_mutable(peer);
  if (!path) return;
  const auto message = decode_path_message(payload);
  if (!message) {
    ++counters_.malformed;
    return;
  }
  path->on_message(now, scope_, from, *message);
  arm(peer, *path);
}

void Paths::on_sent(TimePoint now, PeerId peer) {
  auto* path = find_mutable(peer);
  if (!path) return;
  path->on_sent(now);
  arm_at_most(peer, *path);
}

void Paths::poll(TimePoint now) {
  while (deadlines_.next() && *deadlines_.next() <= now) {
    auto& slot = *slots_[deadlines_.first()];
    slot.path.poll(now, scope_);
    auto next = slot.path.deadline();
    if (next) next = std::max(*next, now + kLeastPause);  // one thing leads to another, but not at once
    deadlines_.set(slot_of(slot.id), next);
  }
}

}  // namespace godwit::overlay
