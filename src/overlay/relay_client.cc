#include "overlay/relay_client.h"

#include <algorithm>

namespace godwit::overlay {

void RelayClient::want(TimePoint now, PeerId peer, const crypto::PublicKey& key) {
  if (wanted_.size() >= kMostWanted) return;
  if (wanted_.try_emplace(peer, Wanted{key, 0, now, kAbsentAgain}).second) bind_at_ = std::min(bind_at_, now);
}

void RelayClient::forget(PeerId peer) {
  const auto at = wanted_.find(peer);
  if (at == wanted_.end()) return;
  if (at->second.channel != 0) {
    say({.kind = RelayMessageKind::unbind, .key = at->second.key});
    set_channel(peer, at->second, 0);
  }
  wanted_.erase(at);
}

void RelayClient::ask_anew(TimePoint now) {
  hello_at_ = bind_at_ = now;
  for (auto& [peer, wanted] : wanted_) {
    wanted.next = now;
    wanted.pause = kAbsentAgain;
  }
}

void RelayClient::on_ready(TimePoint now) { ask_anew(now); }

void RelayClient::use_connection(TimePoint now, bool connected) {
  if (connected_ == connected) return;
  connected_ = connected;
  mapped_.reset();
  asked_at_.reset();
  look_token_ = 0;
  look_pause_ = kFirstLook;
  look_at_ = now + look_pause_;
  ask_anew(now);
}

void RelayClient::on_message(TimePoint now, ByteView payload) {
  const auto message = decode_relay_message(payload);
  if (!message) {
    ++malformed_;
    return;
  }
  silent_ = false;
  if (message->kind == RelayMessageKind::here) return on_here(now, *message);
  asked_at_.reset();
  const auto same = [&](const auto& each) { return each.second.key == message->key; };
  const auto at = std::ranges::find_if(wanted_, same);
  if (at != wanted_.end()) on_bound(now, at->second, at->first, *message);
}

void RelayClient::on_here(TimePoint now, const RelayMessage& here) {
  if (look_token_ != 0 && here.token == look_token_) {
    udp_is_dead_ = false;
    look_token_ = 0;
    return;
  }
  asked_at_.reset();
  if (here.token != token_) return;
  const Nanos took = now - said_hello_at_;
  round_trip_ = round_trip_ ? *round_trip_ + (took - *round_trip_) / 4 : took;
  if (is_relayed(here.seen)) return;
  mapped_ = here.seen;
  udp_is_dead_ = false;
}

void RelayClient::on_bound(TimePoint now, Wanted& wanted, PeerId peer, const RelayMessage& message) {
  if (message.kind == RelayMessageKind::bound) {
    wanted.pause = kAbsentAgain;
    wanted.next = now + kLongestPause;  // said once more: should it not be so any longer, we learn it
    set_channel(peer, wanted, message.channel);
  } else if (message.kind == RelayMessageKind::absent || message.kind == RelayMessageKind::full) {
    wanted.next = now + wanted.pause;
    wanted.pause = std::min<Nanos>(2 * wanted.pause, kLongestPause);
    set_channel(peer, wanted, 0);
  }
  bind_at_ = std::min(bind_at_, wanted.next);
}

void RelayClient::set_channel(PeerId peer, Wanted& wanted, std::uint32_t channel) {
  if (wanted.channel == channel) return;
  channels_.erase(wanted.channel);
  wanted.channel = channel;
  if (channel != 0) channels_[channel] = peer;
  changes_.push_back(peer);
}

std::vector<PeerId> RelayClient::peers() const {
  std::vector<PeerId> out;
  for (const auto& [peer, wanted] : wanted_) out.push_back(peer);
  return out;
}

std::optional<sys::UdpEndpoint> RelayClient::channel_to(PeerId peer) const {
  const auto at = wanted_.find(peer);
  if (at == wanted_.end() || at->second.channel == 0) return std::nullopt;
  return relayed_endpoint({RelayedKind::channel, at->second.channel, number_});
}

bool RelayClient::from_channel(TimePoint, const sys::UdpEndpoint& from, std::uint32_t channel) {
  if (from != endpoint() || !channels_.contains(channel)) return false;
  asked_at_.reset();
  silent_ = false;
  return true;
}

void RelayClient::say_hello(TimePoint now) {
  std::array<std::byte, 8> drawn{};
  random_.fill(drawn);
  token_ = load_be64(drawn);
  say({.kind = RelayMessageKind::hello, .token = token_});
  said_hello_at_ = now;
  hello_at_ = now + kHelloEvery;
  if (!asked_at_) asked_at_ = now;
}

void RelayClient::look(TimePoint now) {
  std::array<std::byte, 8> drawn{};
  random_.fill(drawn);
  look_token_ = load_be64(drawn);
  out_.push_back({udp_, encode_relay_message({.kind = RelayMessageKind::look, .token = look_token_})});
  look_pause_ = std::min<Nanos>(2 * look_pause_, kLookEvery);
  look_at_ = now + look_pause_;
}

void RelayClient::bind_what_is_due(TimePoint now) {
  bind_at_ = now + kLongestPause;
  for (auto& [peer, wanted] : wanted_) {
    if (now >= wanted.next) {
      wanted.next = now + kBindAgain;
      say({.kind = RelayMessageKind::bind, .key = wanted.key});
    }
    bind_at_ = std::min(bind_at_, wanted.next);
  }
}

void RelayClient::poll(TimePoint now) {
  if (now >= hello_at_) say_hello(now);
  if (now >= bind_at_) bind_what_is_due(now);
  if (connected_ && now >= look_at_) look(now);
  if (!asked_at_ || now < *asked_at_ + kSilentAfter) return;
  // As seen from here: it moved, or its session has ended there, or a NAT has forgotten us.
  silent_ = true;
  if (!connected_) udp_is_dead_ = true;
  mapped_.reset();
  asked_at_.reset();
  hello_at_ = now + kBindAgain;
}

std::optional<TimePoint> RelayClient::next_deadline() const {
  auto out = std::min(hello_at_, bind_at_);
  if (connected_) out = std::min(out, look_at_);
  if (asked_at_) out = std::min(out, *asked_at_ + kSilentAfter);
  return out;
}

}  // namespace godwit::overlay
