#include "overlay/underlay.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr Millis kAlike{5};  // relays whose round trips differ by less are taken as they were given

}  // namespace

Underlay::Underlay(crypto::KeyPair own, sys::Random& random, Sessions::WallClock wall, const crypto::Ciphers& ciphers)
    : random_(random), sessions_(std::move(own), random, std::move(wall), ciphers), paths_(random) {}

PeerId Underlay::add(TimePoint now, const PeerSpec& spec, const sys::UdpEndpoint& at) {
  const auto peer = sessions_.add(spec);
  if (peer == kNobody) return peer;
  const bool native = spec.profile == Profile::native;
  paths_.add(peer, {.leads = sessions_.public_key() < spec.key, .speaks = native});
  if (at) paths_.configure(now, peer, at);
  for (auto& each : relays_) {
    if (native) each.client.want(now, peer, spec.key);
  }
  return peer;
}

void Underlay::remove(PeerId peer) {
  sessions_.remove(peer);
  paths_.remove(peer);
  unanswered_.erase(peer);
  for (auto& each : relays_) each.client.forget(peer);
}

Result<> Underlay::use_relay(TimePoint now, const RelaySpec& spec) {
  const auto known = [&](const RelayPeer& each) { return each.peer == sessions_.find(spec.key); };
  if (relays_.size() == kMostRelays || std::ranges::any_of(relays_, known)) {
    return fail(Errc::invalid_argument, "relay {}: it is there already, or there are {}", sys::to_string(spec.at),
                kMostRelays);
  }
  const auto peer = sessions_.add({spec.key, {}, Profile::native});
  if (peer == kNobody) return fail(Errc::invalid_argument, "relay {}: no such key", sys::to_string(spec.at));
  nearest_first_.push_back(relays_.size());
  relays_.emplace_back(peer, RelayClient(random_, spec.at, static_cast<std::uint8_t>(relays_.size())));
  sessions_.begin(now, peer);
  return {};
}

Result<> Underlay::set_record(TimePoint now, ByteView record) {
  const bool same = std::ranges::equal(record, sessions_.record());
  const auto set = sessions_.set_record(record);
  if (!set || same) return set;
  for (const auto& each : relays_) {
    if (!sessions_.ready(now, each.peer)) sessions_.begin_anew(now, each.peer);
  }
  return {};
}

Underlay::RelayPeer* Underlay::relay_with(PeerId peer) {
  const auto at = std::ranges::find(relays_, peer, &RelayPeer::peer);
  return at == relays_.end() ? nullptr : &*at;
}

// This host as its relays see it: one place, where its NAT is of the better sort.
std::vector<sys::UdpEndpoint> Underlay::mapped() const {
  std::vector<sys::UdpEndpoint> out;
  for (const auto& each : relays_) {
    const auto& at = each.client.mapped();
    if (at && std::ranges::find(out, *at) == out.end()) out.push_back(*at);
  }
  return out;
}

void Underlay::set_addresses(TimePoint now, std::span<const sys::UdpEndpoint> addresses) {
  addresses_.assign(addresses.begin(), addresses.end());
  tell_own(now);
}

void Underlay::tell_own(TimePoint now) {
  std::vector<Candidate> own;
  told_mapped_ = mapped();
  for (const auto& each : told_mapped_) own.push_back({each, CandidateKind::mapped});
  for (const auto& each : addresses_) {
    const bool told = std::ranges::find(told_mapped_, each) != told_mapped_.end();
    if (is_sendable(each) && !told) own.push_back({each, CandidateKind::local});
  }
  paths_.set_own(now, own);
}

std::optional<PeerView> Underlay::view(TimePoint now, PeerId peer) const {
  const auto* spec = sessions_.spec(peer);
  if (!spec) return std::nullopt;
  PeerView out;
  out.key = spec->key;
  out.profile = spec->profile;
  out.session_since = sessions_.since(now, peer);
  out.bytes = sessions_.bytes(peer);
  const auto* path = paths_.find(peer);
  const auto* way = path ? path->current() : nullptr;
  if (!way) return out;
  out.way = way->kind;
  const auto& seen_as = path->seen_as();
  const bool seen_elsewhere = seen_as && std::ranges::find(addresses_, seen_as) == addresses_.end();
  const bool found_by_sight = way->kind == WayKind::seen && !way->listed;
  out.mapped =
      way->kind != WayKind::relay && (found_by_sight || way->listed == CandidateKind::mapped || seen_elsewhere);
  out.endpoint = route_to(way->at).to;
  return out;
}

// ---- out

Route Underlay::route_to(const sys::UdpEndpoint& endpoint) const {
  const auto relayed = relayed_of(endpoint);
  if (!relayed || relayed->kind != RelayedKind::channel) return {endpoint, 0};
  if (relayed->relay >= relays_.size()) return {};
  return {relays_[relayed->relay].client.endpoint(), relayed->number};
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
    const auto peer = source_of_carried(now, from, *channel);
    if (!peer) return {};
    source = *peer;
    datagram = datagram.subspan(kRelayHeader);
  }
  auto opened = sessions_.on_datagram(now, source, datagram);
  if (opened.peer == kNobody) return opened;
  if (opened.ready) unanswered_.erase(opened.peer);
  if (auto* relay = relay_with(opened.peer)) return on_relay(now, *relay, opened);
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

std::optional<sys::UdpEndpoint> Underlay::source_of_carried(TimePoint now, const sys::UdpEndpoint& from,
                                                            std::uint32_t channel) {
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    if (!relays_[i].client.from_channel(now, from, channel)) continue;
    return relayed_endpoint({RelayedKind::channel, channel, static_cast<std::uint8_t>(i)});
  }
  return std::nullopt;
}

Opened Underlay::on_relay(TimePoint now, RelayPeer& relay, const Opened& opened) {
  if (opened.what == Heard::data) relay.client.on_message(now, opened.payload);
  if (opened.ready) relay.client.on_ready(now);
  auto out = opened;
  if (out.what == Heard::data) out.what = Heard::keepalive;
  out.payload = {};
  return out;
}

void Underlay::on_relay_connection(TimePoint now, std::size_t relay, bool connected) {
  if (relay >= relays_.size()) return;
  relays_[relay].client.use_connection(now, connected);
  sessions_.begin(now, relays_[relay].peer);
}

// ---- time

void Underlay::begin_by(TimePoint now, PeerId peer, const sys::UdpEndpoint& way) {
  const auto said = unanswered_.find(peer);
  if (said != unanswered_.end()) send(way, said->second);
  sessions_.begin(now, peer);
}

void Underlay::tell_relays(TimePoint now, PeerId peer) {
  std::vector<sys::UdpEndpoint> channels;
  for (const auto place : nearest_first_) {
    if (const auto at = relays_[place].client.channel_to(peer)) channels.push_back(*at);
  }
  paths_.set_relays(now, peer, channels);
}

void Underlay::rank_relays(TimePoint now) {
  const auto distance = [this](std::size_t place) {
    return relays_[place].client.round_trip().value_or(Nanos::max()) / kAlike;
  };
  auto order = nearest_first_;
  std::ranges::sort(order);
  std::ranges::stable_sort(order, {}, distance);
  if (order == nearest_first_) return;
  nearest_first_ = std::move(order);
  for (const auto peer : relays_.front().client.peers()) tell_relays(now, peer);
}

void Underlay::run_relay(TimePoint now, RelayPeer& relay) {
  relay.client.poll(now);
  for (const auto peer : relay.client.take_changes()) {
    tell_relays(now, peer);
    if (const auto at = relay.client.channel_to(peer)) begin_by(now, peer, *at);
  }
  for (const auto& each : relay.client.take_out()) seal_and_send(now, relay.peer, each.to, each.payload);
}

void Underlay::collect(TimePoint now) {
  for (const auto& each : paths_.take_out()) seal_and_send(now, each.peer, each.to, each.payload);
  for (auto& each : sessions_.take_out()) {
    if (each.to) {
      send(each.to, each.bytes);
    } else if (const auto* relay = relay_with(each.peer)) {
      send(relay->client.endpoint(), each.bytes);
    } else {
      if (const auto* best = paths_.best(each.peer)) send(*best, each.bytes);
      if (!sessions_.ready(now, each.peer)) unanswered_[each.peer] = std::move(each.bytes);
    }
  }
}

void Underlay::poll(TimePoint now) {
  sessions_.poll(now);
  for (auto& each : relays_) run_relay(now, each);
  if (relays_.size() > 1) rank_relays(now);
  if (mapped() != told_mapped_) tell_own(now);
  paths_.poll(now);
}

std::optional<TimePoint> Underlay::next_deadline() const {
  std::optional<TimePoint> out = sessions_.next_deadline();
  const auto add = [&out](const std::optional<TimePoint>& at) {
    if (at) out = out ? std::min(*out, *at) : *at;
  };
  add(paths_.next_deadline());
  for (const auto& each : relays_) add(each.client.next_deadline());
  return out;
}

std::vector<UnderlaySend> Underlay::take_out(TimePoint now) {
  if (paths_.has_out() || sessions_.has_out()) collect(now);
  return out_.empty() ? std::vector<UnderlaySend>{} : std::exchange(out_, {});
}

}  // namespace godwit::overlay
