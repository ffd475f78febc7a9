// How sessions come about: both sides of the handshake, and who is answered.
#include "base/assert.h"
#include "overlay/session.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

bool within(TimePoint now, const std::optional<TimePoint>& since, Nanos span) { return since && now - *since < span; }

}  // namespace

void Sessions::begin_handshake(TimePoint now, SessionPeer& peer) {
  if (peer.handshake) return;
  peer.handshake.emplace().begun = now;
  // Who was just answered is about to speak; and nobody is asked more often than every kRekeyTimeout.
  if (peer.next && now - peer.next->made < kRekeyTimeout) {
    peer.initiate_at = peer.next->made + kRekeyTimeout;
  } else if (within(now, peer.sent_at, kRekeyTimeout)) {
    peer.initiate_at = *peer.sent_at + kRekeyTimeout;
  } else {
    send_initiation(now, peer);
  }
  arm(peer, *peer.initiate_at);
}

void Sessions::end_handshake(SessionPeer& peer) {
  if (peer.handshake && peer.handshake->local != 0) indices_.erase(peer.handshake->local);
  peer.handshake.reset();
  peer.initiate_at.reset();
}

void Sessions::send_initiation(TimePoint now, SessionPeer& peer) {
  auto& handshake = *peer.handshake;
  const auto profile = peer.spec.profile;
  if (handshake.local != 0) indices_.erase(handshake.local);
  handshake.local = draw_index();
  handshake.cookie_taken = false;
  indices_.put({handshake.local, &peer, nullptr});
  handshake.noise.emplace(ciphers_, profile, own_, peer.spec, crypto::KeyPair::generate(random_));

  ByteVector payload;
  append(payload, next_timestamp());
  if (profile == Profile::native) append(payload, record_);
  ByteVector message(initiation_at::least - kTimestamp + payload.size());
  message[0] = type_byte(profile, MessageKind::initiation);
  store_index(profile, ByteSpan(message).subspan(initiation_at::sender), handshake.local);
  // add() has seen that the peer's key agrees with any other.
  GODWIT_ASSERT(handshake.noise->write_first(message, peer.static_shared, payload));
  peer.cookies.stamp(now, message);
  ++counters_.initiations_sent;
  if (peer.asked_from) out_.push_back({peer.id, *std::exchange(peer.asked_from, std::nullopt), message});
  out_.push_back({peer.id, {}, std::move(message)});

  std::array<std::byte, 4> drawn;
  random_.fill(drawn);
  peer.sent_at = now;
  peer.initiate_at = now + kRekeyTimeout + Nanos(kRekeyJitter) * (load_be32(drawn) >> 16U) / 0x10000;
  arm(peer, *peer.initiate_at);
}

// Never the same twice, and never earlier than one before, whatever the wall clock does.
Tai64n Sessions::next_timestamp() {
  last_timestamp_ = std::max(to_tai64n(wall_()), next_after(last_timestamp_));
  return last_timestamp_;
}

std::uint32_t Sessions::draw_index() {
  for (;;) {
    std::array<std::byte, 4> drawn;
    random_.fill(drawn);
    const auto index = load_be32(drawn);
    if (index != 0 && indices_.find(index) == nullptr) return index;
  }
}

std::unique_ptr<Keypair> Sessions::make_keypair(TimePoint now, const SessionPeer& peer, const TransportKeys& keys) {
  const auto cipher =
      peer.spec.profile == Profile::native ? crypto::Cipher::aes256_gcm : crypto::Cipher::chacha20_poly1305;
  auto keypair = std::make_unique<Keypair>();
  keypair->sending = ciphers_.key(cipher, keys.sending.bytes());
  keypair->receiving = ciphers_.key(cipher, keys.receiving.bytes());
  keypair->profile = peer.spec.profile;
  keypair->number = ++last_session_;
  keypair->made = now;
  keypair->heard = now;
  ++counters_.begun;
  return keypair;
}

// An initiation or a response: is it for us, and has this host time for it?
Refusal Sessions::admit(TimePoint now, const Where& where) {
  if (!cookies_.has_mac1(where.bytes)) return Refusal::not_authentic;
  if (admission_.is_under_load(now)) {
    if (!cookies_.has_mac2(now, where.from, where.bytes)) {
      const auto sender = load_index(where.profile, where.bytes.subspan(initiation_at::sender));
      ++counters_.cookies_sent;
      out_.push_back({kNobody, where.from, cookies_.reply(now, where.from, where.profile, sender, where.bytes)});
      return Refusal::under_load;
    }
    if (!admission_.take_source(now, where.from)) return Refusal::too_often;
  }
  return admission_.take_answer() ? Refusal::none : Refusal::exhausted;
}

Opened Sessions::on_initiation(TimePoint now, const Where& where) {
  if (const auto why = admit(now, where); why != Refusal::none) return refuse(why);
  NoiseResponder noise(ciphers_, where.profile, own_);
  if (!noise.read_key(where.bytes)) return refuse(Refusal::not_authentic);
  auto* peer = peer_of(find(noise.key()));
  if (peer != nullptr && peer->spec.profile != where.profile) return refuse(Refusal::wrong_profile);
  const bool may_introduce_itself = where.profile == Profile::native && introduction_;
  if (peer == nullptr && !may_introduce_itself) return refuse(Refusal::unknown_key);
  const auto shared = peer != nullptr ? peer->static_shared : own_.agree(noise.key()).value_or(crypto::Secret{});
  const auto first = noise.read_payload(where.bytes, shared);
  if (!first) return refuse(Refusal::not_authentic);
  if (peer != nullptr) {
    if (const auto why = check_again(now, where.from, *first, *peer); why != Refusal::none) return refuse(why);
  }
  if (may_introduce_itself) {
    peer = peer_of(introduction_(now, first->key, first->record, peer != nullptr ? peer->id : kNobody));
    if (peer == nullptr || peer->spec.key != first->key) return refuse(Refusal::unknown_key);
    if (peer->spec.profile != where.profile) return refuse(Refusal::wrong_profile);
  }
  if (half_open_ >= kMostHalfOpen && !peer->current && !peer->half_open) return refuse(Refusal::exhausted);
  peer->answered_at = now;
  auto out = answer(now, where, noise, *peer);
  if (out.peer != kNobody) peer->next->dated = first->timestamp;
  return out;
}

// A message of a peer that we know: is it its newest, and are there not too many?
Refusal Sessions::check_again(TimePoint now, const sys::UdpEndpoint& from, const FirstMessage& first,
                              SessionPeer& peer) {
  if (first.timestamp <= peer.greatest_timestamp) {
    // A repetition, or its clock went back when it restarted: then it can't begin, but we can, there too where it seems
    // to be now. Once in a while, since whoever has recorded an old one can send it again; and not where the peer is
    // heard anyway.
    const bool is_older = first.timestamp < peer.greatest_timestamp;
    if (is_older && !within(now, peer.reminded_at, kRekeyTimeout) && !within(now, peer.heard_at, kRekeyTimeout)) {
      peer.reminded_at = now;
      peer.asked_from = from;
      begin_handshake(now, peer);
    }
    return Refusal::replayed;
  }
  // One that was answered and not proven since may itself be an old one, of a time when the peer's clock was ahead: it
  // keeps the true one waiting for a while, and no longer.
  if (peer.next && (first.timestamp == peer.next->dated ||
                    (first.timestamp < peer.next->dated && now - peer.next->made < kRekeyTimeout))) {
    return Refusal::replayed;
  }
  return within(now, peer.answered_at, kInitiationInterval) ? Refusal::too_often : Refusal::none;
}

Opened Sessions::answer(TimePoint now, const Where& where, NoiseResponder& noise, SessionPeer& peer) {
  ByteVector message(response_at::size);
  const ByteSpan bytes(message);
  const auto keys = noise.write_second(bytes, crypto::KeyPair::generate(random_), peer.spec.psk);
  if (!keys) return refuse(Refusal::not_authentic);
  auto keypair = make_keypair(now, peer, *keys);
  keypair->local = draw_index();
  keypair->remote = load_index(where.profile, where.bytes.subspan(initiation_at::sender));
  message[0] = type_byte(where.profile, MessageKind::response);
  store_index(where.profile, bytes.subspan(response_at::sender), keypair->local);
  store_index(where.profile, bytes.subspan(response_at::receiver), keypair->remote);
  peer.cookies.stamp(now, message);
  ++counters_.responses_sent;
  out_.push_back({peer.id, where.from, std::move(message)});

  drop_keypair(peer.next);
  indices_.put({keypair->local, &peer, keypair.get()});
  arm(peer, now + kRejectAfter);
  peer.next = std::move(keypair);
  count_half_open(peer);
  Opened out;
  out.what = Heard::handshake;
  out.peer = peer.id;
  out.session = peer.next->number;
  return out;
}

Opened Sessions::on_response(TimePoint now, const Where& where) {
  const auto index = load_index(where.profile, where.bytes.subspan(response_at::receiver));
  const auto* entry = indices_.find(index);
  if (entry == nullptr || entry->keypair != nullptr) return refuse(Refusal::unknown_index);
  auto& peer = *entry->peer;
  if (peer.spec.profile != where.profile) return refuse(Refusal::wrong_profile);
  if (const auto why = admit(now, where); why != Refusal::none) return refuse(why);
  const auto keys = peer.handshake->noise->read_second(where.bytes);
  if (!keys) return refuse(Refusal::not_authentic);

  auto keypair = make_keypair(now, peer, *keys);
  keypair->initiator = true;
  keypair->local = index;
  keypair->remote = load_index(where.profile, where.bytes.subspan(response_at::sender));
  end_handshake(peer);
  indices_.put({index, &peer, keypair.get()});
  arm(peer, now + kRejectAfter);
  // What we answered stays: where both sides began at once, the peer may come to use either.
  retire(peer, std::exchange(peer.current, std::move(keypair)));
  count_half_open(peer);
  peer.silent_at.reset();
  send_keepalive(now, peer);  // until it hears something, the peer must not use the session
  Opened out;
  out.what = Heard::handshake;
  out.peer = peer.id;
  out.newest = true;
  out.ready = true;
  out.session = peer.current->number;
  return out;
}

Opened Sessions::on_cookie(TimePoint now, const Where& where) {
  const auto* entry = indices_.find(load_index(where.profile, where.bytes.subspan(cookie_at::receiver)));
  if (entry == nullptr) return refuse(Refusal::unknown_index);
  auto& peer = *entry->peer;
  if (peer.spec.profile != where.profile) return refuse(Refusal::wrong_profile);
  if (!peer.cookies.take(now, where.bytes)) return refuse(Refusal::not_authentic);
  // The initiation that it answers was not read: send one that will be. Only once, since anybody who sees an initiation
  // can answer it with a cookie.
  if (peer.handshake && peer.handshake->local != 0 && !peer.handshake->cookie_taken) {
    send_initiation(now, peer);
    peer.handshake->cookie_taken = true;
  }
  Opened out;
  out.what = Heard::handshake;  // of nobody in particular: cookies prove nothing
  return out;
}

}  // namespace godwit::overlay
