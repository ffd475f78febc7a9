#include "overlay/underlay.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit::overlay {

Underlay::Underlay(crypto::KeyPair own, sys::Random& random, Sessions::WallClock wall, const crypto::Ciphers& ciphers)
    : random_(random), sessions_(std::move(own), random, std::move(wall), ciphers), paths_(random) {}

PeerId Underlay::add(TimePoint now, const PeerSpec& spec, const sys::UdpEndpoint& at) {
  const auto peer = sessions_.add(spec);
  if (peer == kNobody) return peer;
  const bool native = spec.profile == Profile::native;
  paths_.add(peer, {.leads = sessions_.public_key() < spec.key, .speaks = native});
  if (at) paths_.configure(now, peer, at);
  if (relay_ && native) relay_->client.want(now, peer, spec.key);
  return peer;
}

void Underlay::remove(PeerId peer) {
  sessions_.remove(peer);
  paths_.remove(peer);
  unanswered_.erase(peer);
  if (relay_) relay_->client.forget(peer);
}

void Underlay::use_relay(TimePoint now, const RelaySpec& spec) {
  GODWIT_ASSERT(!relay_);
  const auto peer = sessions_.add({spec.key, {}, Profile::native});
  if (peer == kNobody) return;
  relay_.emplace(peer, RelayClient(random_, spec.at));
  sessions_.begin(now, peer);
}

void Underlay::set_addresses(TimePoint now, std::span<const sys::UdpEndpoint> addresses) {
  addresses_.assign(addresses.begin(), addresses.end());
  tell_own(now);
}

void Underlay::tell_own(TimePoint now) {
  std::vector<Candidate> own;
  const auto mapped = relay_ ? relay_->client.mapped() : std::nullopt;
  told_mapped_ = mapped;
  if (mapped) own.push_back({*mapped, CandidateKind::mapped});
  for (const auto& each : addresses_) {
    if (is_sendable(each) && each != mapped) own.push_back({each, CandidateKind::local});
  }
  paths_.set_own(now, own);
}

// ---- out

Route Underlay::route_to(const sys::UdpEndpoint& endpoint) const {
  const auto relayed = relayed_of(endpoint);
  if (!relayed || relayed->kind != RelayedKind::channel) return {endpoint, 0};
  return {relay_ ? relay_->client.endpoint() : sys::UdpEndpoint{}, relayed->number};
}

std::optional<Route> Underlay::seal(TimePoint now, PeerId peer, ByteSpan datagram) {
  if (!paths_.best(peer) || !sessions_.seal(now, peer, datagram)) return std::nullopt;
  paths_.on_sent(now, peer);
  return route_to(*paths_.best(peer));
}

void Underlay::send(const sys::UdpEndpoint& to, ByteView bytes) {
  const auto route = route_to(to);
  if (!route.to) return;
  auto& sent = out_.emplace_back(route.to, ByteVector(route.channel != 0 ? kRelayHeader : 0));
  if (route.channel != 0) write_carried_header(sent.bytes, route.channel);
  append(sent.bytes, bytes);
}

void Underlay::seal_and_send(TimePoint now, PeerId peer, const sys::UdpEndpoint& to, ByteView payload) {
  ByteVector datagram(kSealOverhead + payload.size());
  std::ranges::copy(payload, datagram.begin() + kSealHeader);
  if (sessions_.seal(now, peer, datagram)) send(to, datagram);
}

// ---- in

Opened Underlay::on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram) {
  auto source = from;
  if (const auto channel = carried_channel(datagram)) {
    if (!relay_ || !relay_->client.from_channel(now, from, *channel)) return {};
    source = relayed_endpoint({RelayedKind::channel, *channel});
    datagram = datagram.subspan(kRelayHeader);
  }
  auto opened = sessions_.on_datagram(now, source, datagram);
  if (opened.peer == kNobody) return opened;
  if (opened.ready) unanswered_.erase(opened.peer);
  if (relay_ && opened.peer == relay_->peer) return on_relay(now, opened);
  if (opened.what == Heard::data && is_path_message(opened.payload)) {
    if (opened.ready) paths_.on_ready(now, opened.peer);
    paths_.on_message(now, opened.peer, source, opened.payload);
    opened.what = Heard::keepalive;
    opened.payload = {};
    return opened;
  }
  // A handshake's first message may be an old one, seen and sent again by somebody: it moves nobody.
  if (opened.what != Heard::handshake) paths_.on_data(now, opened.peer, source, opened.newest);
  if (opened.ready) paths_.on_ready(now, opened.peer);
  return opened;
}

Opened Underlay::on_relay(TimePoint now, const Opened& opened) {
  if (opened.what == Heard::data) relay_->client.on_message(now, opened.payload);
  if (opened.ready) relay_->client.on_ready(now);
  auto out = opened;
  if (out.what == Heard::data) out.what = Heard::keepalive;
  out.payload = {};
  return out;
}

void Underlay::on_relay_connection(TimePoint now, bool connected) {
  if (!relay_) return;
  relay_->client.use_connection(now, connected);
  sessions_.begin(now, relay_->peer);
}

// ---- time

void Underlay::begin_by(TimePoint now, PeerId peer, const sys::UdpEndpoint& way) {
  const auto said = unanswered_.find(peer);
  if (said != unanswered_.end()) send(way, said->second);
  sessions_.begin(now, peer);
}

void Underlay::run_relay(TimePoint now) {
  relay_->client.poll(now);
  for (const auto& each : relay_->client.take_changes()) {
    paths_.set_relay(now, each.peer, each.at);
    if (each.at) begin_by(now, each.peer, *each.at);
  }
  for (const auto& each : relay_->client.take_out()) seal_and_send(now, relay_->peer, each.to, each.payload);
  if (relay_->client.mapped() != told_mapped_) tell_own(now);
}

void Underlay::collect(TimePoint now) {
  for (const auto& each : paths_.take_out()) seal_and_send(now, each.peer, each.to, each.payload);
  for (auto& each : sessions_.take_out()) {
    if (each.to) {
      send(each.to, each.bytes);
    } else if (relay_ && each.peer == relay_->peer) {
      send(relay_->client.endpoint(), each.bytes);
    } else {
      if (const auto* best = paths_.best(each.peer)) send(*best, each.bytes);
      if (!sessions_.ready(now, each.peer)) unanswered_[each.peer] = std::move(each.bytes);
    }
  }
}

void Underlay::poll(TimePoint now) {
  sessions_.poll(now);
  if (relay_) run_relay(now);
  paths_.poll(now);
}

std::optional<TimePoint> Underlay::next_deadline() const {
  std::optional<TimePoint> out = sessions_.next_deadline();
  const auto add = [&out](const std::optional<TimePoint>& at) {
    if (at) out = out ? std::min(*out, *at) : *at;
  };
  add(paths_.next_deadline());
  if (relay_) add(relay_->client.next_deadline());
  return out;
}

std::vector<UnderlaySend> Underlay::take_out(TimePoint now) {
  if (paths_.has_out() || sessions_.has_out()) collect(now);
  return out_.empty() ? std::vector<UnderlaySend>{} : std::exchange(out_, {});
}

}  // namespace godwit::overlay
