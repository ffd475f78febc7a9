#include "overlay/session.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

crypto::Nonce nonce_of(Profile profile, std::uint64_t counter) {
  crypto::Nonce nonce{};
  store_counter(profile, ByteSpan(nonce).subspan(4), counter);
  return nonce;
}

// `datagram` goes out as the next of `keypair`.
void seal_with(Keypair& keypair, ByteSpan datagram) {
  const auto counter = keypair.next_counter++;
  store_be32(datagram, 0);
  datagram[0] = type_byte(keypair.profile, MessageKind::data);
  store_index(keypair.profile, datagram.subspan(data_at::receiver), keypair.remote);
  store_counter(keypair.profile, datagram.subspan(data_at::counter), counter);
  const auto payload = datagram.subspan(kSealHeader, datagram.size() - kSealOverhead);
  keypair.sending->seal(nonce_of(keypair.profile, counter), {}, payload, datagram.last<kSealTag>());
}

}  // namespace

Sessions::Sessions(crypto::KeyPair own, sys::Random& random, WallClock wall, const crypto::Ciphers& ciphers)
    : own_(std::move(own)),
      random_(random),
      wall_(std::move(wall)),
      ciphers_(ciphers),
      cookies_(own_.public_key(), random),
      admission_(random) {}
Sessions::~Sessions() = default;

PeerId Sessions::add(const PeerSpec& spec) {
  if (const auto found = by_key_.find(spec.key); found != by_key_.end()) {
    auto& peer = *peer_of(found->second);
    if (peer.spec.profile != spec.profile || peer.spec.psk != spec.psk) end_sessions(peer);
    peer.spec = spec;
    return found->second;
  }
  const auto shared = own_.agree(spec.key);
  if (!shared || spec.key == own_.public_key() || (free_slots_.empty() && slots_.size() >= kMostPeers)) return kNobody;
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
    deadlines_.reserve(slots_.size());
  }
  const auto slot = free_slots_.back();
  free_slots_.pop_back();
  generation_ = generation_ % 0xffffU + 1;  // never 0
  const PeerId id = generation_ << 16U | slot;
  slots_[slot] = std::make_unique<SessionPeer>(id, spec, *shared);
  by_key_.emplace(spec.key, id);
  return id;
}

void Sessions::remove(PeerId id) {
  auto* peer = peer_of(id);
  if (peer == nullptr) return;
  end_sessions(*peer);
  by_key_.erase(peer->spec.key);
  slots_[slot_of(id)].reset();
  free_slots_.push_back(slot_of(id));
}

PeerId Sessions::find(const crypto::PublicKey& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? kNobody : found->second;
}

const PeerSpec* Sessions::spec(PeerId id) const {
  const auto* peer = peer_of(id);
  return peer == nullptr ? nullptr : &peer->spec;
}

Result<> Sessions::set_record(ByteView record) {
  if (record.size() > kMostRecord) {
    return fail(Errc::invalid_argument, "a host record of {} bytes: at most {} fit a first message", record.size(),
                kMostRecord);
  }
  record_.assign(record.begin(), record.end());
  return {};
}

SessionPeer* Sessions::peer_of(PeerId id) const {
  const auto slot = slot_of(id);
  if (slot >= slots_.size() || !slots_[slot] || slots_[slot]->id != id) return nullptr;
  return slots_[slot].get();
}

bool Sessions::ready(TimePoint now, PeerId id) const {
  const auto* peer = peer_of(id);
  return peer != nullptr && peer->current && peer->current->is_usable(now);
}

std::optional<TimePoint> Sessions::since(TimePoint now, PeerId id) const {
  if (!ready(now, id)) return std::nullopt;
  return peer_of(id)->current->made;
}

SealedBytes Sessions::bytes(PeerId id) const {
  const auto* peer = peer_of(id);
  return peer ? peer->bytes : SealedBytes{};
}

void Sessions::begin(TimePoint now, PeerId id) {
  if (auto* peer = peer_of(id)) begin_handshake(now, *peer);
}

void Sessions::begin_anew(TimePoint now, PeerId id) {
  auto* peer = peer_of(id);
  if (peer == nullptr) return;
  end_handshake(*peer);
  peer->handshake.emplace().begun = now;
  send_initiation(now, *peer);
}

bool Sessions::seal(TimePoint now, PeerId id, ByteSpan datagram) {
  GODWIT_ASSERT(datagram.size() >= kSealOverhead);
  auto* peer = peer_of(id);
  if (peer == nullptr) return false;
  if (!peer->current || !peer->current->is_usable(now)) {
    begin_handshake(now, *peer);
    return false;
  }
  auto& keypair = *peer->current;
  seal_with(keypair, datagram);
  peer->bytes.sent += datagram.size();
  peer->keepalive_at.reset();
  if (datagram.size() > kSealOverhead && !peer->silent_at) {
    peer->silent_at = now + kSilenceAfter;
    arm(*peer, *peer->silent_at);
  }
  keep_fresh(now, *peer, keypair);
  return true;
}

// Makes a new session in time, so that none ever ends while it is in use.
void Sessions::keep_fresh(TimePoint now, SessionPeer& peer, const Keypair& keypair) {
  const auto age = now - keypair.made;
  if (age < kRekeyAfter && keypair.next_counter < kRekeyAfterMessages) return;
  if (keypair.initiator || age >= kRefreshAfter || keypair.next_counter >= kRekeyAfterMessages) {
    begin_handshake(now, peer);
  }
}

Opened Sessions::refuse(Refusal why) {
  ++counters_.refused[static_cast<std::size_t>(why)];
  Opened out;
  out.why = why;
  return out;
}

Opened Sessions::on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram) {
  const auto type = message_type(datagram);
  if (!type) return refuse(Refusal::malformed);
  const Where where{from, datagram, type->profile};
  switch (type->kind) {
    case MessageKind::data: return on_data(now, where);
    case MessageKind::initiation: return on_initiation(now, where);
    case MessageKind::response: return on_response(now, where);
    case MessageKind::cookie: return on_cookie(now, where);
  }
  return refuse(Refusal::malformed);
}

Opened Sessions::on_data(TimePoint now, const Where& where) {
  const auto* entry = indices_.find(load_index(where.profile, where.bytes.subspan(data_at::receiver)));
  if (entry == nullptr || entry->keypair == nullptr) return refuse(Refusal::unknown_index);
  auto& keypair = *entry->keypair;
  auto& peer = *entry->peer;
  if (keypair.profile != where.profile) return refuse(Refusal::wrong_profile);
  const auto counter = load_counter(where.profile, where.bytes.subspan(data_at::counter));
  if (now - keypair.made >= kRejectAfter || counter >= kRejectAfterMessages) return refuse(Refusal::expired);
  if (!keypair.seen.is_new(counter)) return refuse(Refusal::replayed);
  const auto payload = where.bytes.subspan(data_at::payload, where.bytes.size() - kSealOverhead);
  if (!keypair.receiving->open(nonce_of(where.profile, counter), {}, payload, where.bytes.last<kSealTag>())) {
    return refuse(Refusal::not_authentic);
  }
  Opened out;
  out.what = payload.empty() ? Heard::keepalive : Heard::data;
  out.peer = peer.id;
  const bool is_greatest = counter >= keypair.seen.end();
  out.session = keypair.number;
  out.counter = counter;
  out.payload = payload;
  keypair.seen.mark(counter);
  keypair.heard = now;
  peer.bytes.received += where.bytes.size();
  if (peer.next.get() == &keypair) out.ready = promote(now, peer);
  // What was lost of a former session can be sent again by others: only of two that were made at once may either be
  // used.
  out.newest = is_greatest && (!peer.current || keypair.made + kRekeyTimeout > peer.current->made);
  peer.heard_at = now;
  peer.silent_at.reset();
  if (!payload.empty() && !peer.keepalive_at) {
    peer.keepalive_at = now + kKeepaliveAfter;
    arm(peer, *peer.keepalive_at);
  }
  if (now - keypair.made >= kRefreshAfter && peer.current.get() == &keypair) begin_handshake(now, peer);
  return out;
}

// The initiator has shown that it has the session that we answered with. True: we use it from now on.
bool Sessions::promote(TimePoint now, SessionPeer& peer) {
  peer.greatest_timestamp = std::max(peer.greatest_timestamp, peer.next->dated);
  // Where both sides began at once there are two new sessions; both end up with that of the smaller key. At once: we
  // had answered before we were answered. A peer that begins later may have lost what there was, in a restart.
  const bool is_second = peer.current && peer.current->initiator && peer.next->made <= peer.current->made &&
                         now - peer.current->made < kRekeyTimeout;
  const bool stays = is_second && own_.public_key() < peer.spec.key;
  if (stays) {
    retire(peer, std::move(peer.next));
  } else {
    retire(peer, std::exchange(peer.current, std::move(peer.next)));
  }
  end_handshake(peer);
  count_half_open(peer);
  return !stays;
}

// No longer sealed with. Of those that are kept, who was not heard for the longest time goes.
void Sessions::retire(SessionPeer& peer, std::unique_ptr<Keypair> keypair) {
  if (!keypair) return;
  auto& [first, second] = peer.previous;
  auto& place = !first || (second && first->heard < second->heard) ? first : second;
  if (place && place->heard > keypair->heard) {
    drop_keypair(keypair);
    return;
  }
  drop_keypair(place);
  place = std::move(keypair);
}

void Sessions::poll(TimePoint now) {
  while (deadlines_.next() && *deadlines_.next() <= now) {
    const auto owner = deadlines_.first();
    auto& peer = *slots_[owner];
    run_timers(now, peer);
    deadlines_.set(owner, peer.deadline());
  }
}

void Sessions::run_timers(TimePoint now, SessionPeer& peer) {
  for (auto* each : peer.keypairs()) {
    if (*each && now - (*each)->made >= kRejectAfter) drop_keypair(*each);
  }
  count_half_open(peer);
  if (peer.keepalive_at && *peer.keepalive_at <= now) send_keepalive(now, peer);
  if (peer.silent_at && *peer.silent_at <= now) {
    peer.silent_at.reset();
    begin_handshake(now, peer);
  }
  if (!peer.initiate_at || *peer.initiate_at > now) return;
  if (now - peer.handshake->begun >= kRekeyAttempt) {
    ++counters_.given_up;
    end_handshake(peer);
  } else {
    send_initiation(now, peer);
  }
}

void Sessions::send_keepalive(TimePoint now, SessionPeer& peer) {
  peer.keepalive_at.reset();
  if (!peer.current || !peer.current->is_usable(now)) return;
  ByteVector datagram(kSealOverhead);
  seal_with(*peer.current, datagram);
  ++counters_.keepalives_sent;
  out_.push_back({peer.id, {}, std::move(datagram)});
  keep_fresh(now, peer, *peer.current);
}

void Sessions::drop_keypair(std::unique_ptr<Keypair>& keypair) {
  if (keypair) indices_.erase(keypair->local);
  keypair.reset();
}

void Sessions::end_sessions(SessionPeer& peer) {
  end_handshake(peer);
  for (auto* each : peer.keypairs()) drop_keypair(*each);
  count_half_open(peer);
  peer.keepalive_at.reset();
  peer.silent_at.reset();
  deadlines_.set(slot_of(peer.id), std::nullopt);
}

void Sessions::count_half_open(SessionPeer& peer) {
  const bool is = peer.next && !peer.current && !peer.previous[0] && !peer.previous[1];
  if (is == peer.half_open) return;
  peer.half_open = is;
  is ? ++half_open_ : --half_open_;
}

}  // namespace godwit::overlay
