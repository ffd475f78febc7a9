#include "overlay/relay.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr std::uint32_t kPlaceBits = 20;
constexpr std::uint32_t kPlaceMask = (std::uint32_t{1} << kPlaceBits) - 1;
static_assert(Relay::kMostChannels == std::size_t{kPlaceMask} + 1);
constexpr Seconds kSweepEvery{5};

}  // namespace

Relay::Relay(crypto::KeyPair own, sys::Random& random, Sessions::WallClock wall, const crypto::Ciphers& ciphers,
             RelayLimits limits, Admission admission)
    : random_(random),
      sessions_(std::move(own), random, std::move(wall), ciphers),
      limits_(limits),
      admission_(std::move(admission)) {
  sessions_.set_introduction([this](TimePoint, const crypto::PublicKey& key, ByteView record, PeerId known) {
    return introduce(key, record, known);
  });
}

PeerId Relay::introduce(const crypto::PublicKey& key, ByteView record, PeerId known) {
  if (!admission_(key, record)) {
    ++counters_.refused;
    return kNobody;
  }
  if (known != kNobody) return known;
  const auto peer = clients_.size() < limits_.clients ? sessions_.add({key, {}, Profile::native}) : kNobody;
  if (peer == kNobody) {
    ++counters_.full;
    return kNobody;
  }
  clients_[peer].key = key;
  return peer;
}

// ---- what comes

void Relay::on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram, RelayOut& out) {
  if (const auto channel = carried_channel(datagram)) return carry(now, from, *channel, datagram, out);
  const auto opened = sessions_.on_datagram(now, from, datagram);
  const auto at = clients_.find(opened.peer);
  if (at != clients_.end()) {
    auto& client = at->second;
    client.heard_at = now;
    const auto message = opened.what == Heard::data ? decode_relay_message(opened.payload) : std::nullopt;
    const bool looks = message && message->kind == RelayMessageKind::look;
    if (opened.newest && opened.what != Heard::handshake && !looks) client.at = from;
    if (!client.at) client.at = from;
    if (looks) {
      say(now, opened.peer, from, {.kind = RelayMessageKind::here, .token = message->token, .seen = from}, out);
    } else if (message) {
      on_message(now, opened.peer, client, *message, out);
    } else if (opened.what == Heard::data) {
      ++counters_.malformed;
    }
    if (!sweep_at_) sweep_at_ = now + kSweepEvery;
  }
  flush(out);
}

void Relay::carry(TimePoint now, const sys::UdpEndpoint& from, std::uint32_t number, ByteView datagram, RelayOut& out) {
  const auto place = number & kPlaceMask;
  const auto* channel = place < channels_.size() && channels_[place].number == number ? &channels_[place] : nullptr;
  const auto end = !channel ? 2U : channel->clients[0]->at == from ? 0U : channel->clients[1]->at == from ? 1U : 2U;
  if (end == 2U) {
    ++counters_.no_channel;
    return;
  }
  if (!take_quota(now, *channel->clients[end], datagram.size())) {
    ++counters_.over_quota;
    return;
  }
  ++counters_.carried_datagrams;
  counters_.carried_bytes += datagram.size();
  out.sends.push_back({channel->clients[1 - end]->at, datagram});
}

bool Relay::take_quota(TimePoint now, Client& client, std::size_t bytes) const {
  const auto rate = static_cast<double>(limits_.bytes_per_s);
  client.credit = std::min(rate * to_s(limits_.burst), client.credit + rate * to_s(now - client.credit_at));
  client.credit_at = now;
  if (client.credit < static_cast<double>(bytes)) return false;
  client.credit -= static_cast<double>(bytes);
  return true;
}

void Relay::on_message(TimePoint now, PeerId from, Client& client, const RelayMessage& message, RelayOut& out) {
  switch (message.kind) {
    case RelayMessageKind::hello: {
      RelayMessage here{.kind = RelayMessageKind::here, .token = message.token, .seen = client.at};
      return say(now, from, here, out);
    }
    case RelayMessageKind::bind: return bind(now, from, client, message.key, out);
    case RelayMessageKind::unbind: {
      const auto at = client.channels.find(sessions_.find(message.key));
      if (at != client.channels.end()) close_channel(now, at->second, from, out);
      return;
    }
    default: ++counters_.malformed;
  }
}

void Relay::bind(TimePoint now, PeerId from, Client& client, const crypto::PublicKey& key, RelayOut& out) {
  const auto other = sessions_.find(key);
  const auto at = clients_.find(other);
  if (at == clients_.end() || other == from || !at->second.at) {
    return say(now, from, {.kind = RelayMessageKind::absent, .key = key}, out);
  }
  const auto known = client.channels.find(other);
  auto number = known == client.channels.end() ? 0 : known->second;
  if (number == 0) {
    const bool full =
        client.channels.size() >= limits_.channels_a_client || at->second.channels.size() >= limits_.channels_a_client;
    number = full ? 0 : open_channel(from, other);
    if (number == 0) {
      ++counters_.full;
      return say(now, from, {.kind = RelayMessageKind::full, .key = key}, out);
    }
    say(now, other, {.kind = RelayMessageKind::bound, .channel = number, .key = client.key}, out);
  }
  say(now, from, {.kind = RelayMessageKind::bound, .channel = number, .key = key}, out);
}

// ---- channels and clients

std::uint32_t Relay::open_channel(PeerId a, PeerId b) {
  if (free_.empty() && channels_.size() == kMostChannels) return 0;
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(channels_.size()));
    channels_.emplace_back();
  }
  const auto place = free_.back();
  free_.pop_back();
  std::array<std::byte, 4> drawn{};
  random_.fill(drawn);
  // Another one than the last at this place, most likely, so that what is late goes nowhere; and never 0.
  const auto number = ((load_be32(drawn) | (std::uint32_t{1} << kPlaceBits)) & ~kPlaceMask) | place;
  channels_[place] = {number, {a, b}, {&clients_.at(a), &clients_.at(b)}};
  clients_.at(a).channels[b] = number;
  clients_.at(b).channels[a] = number;
  return number;
}

void Relay::close_channel(TimePoint now, std::uint32_t number, PeerId leaver, RelayOut& out) {
  auto& channel = channels_[number & kPlaceMask];
  const auto end = channel.ends[0] == leaver ? 0U : 1U;
  const auto stays = channel.ends[1 - end];
  channel.clients[0]->channels.erase(channel.ends[1]);
  channel.clients[1]->channels.erase(channel.ends[0]);
  const auto key = channel.clients[end]->key;
  channel = {};
  free_.push_back(number & kPlaceMask);
  say(now, stays, {.kind = RelayMessageKind::absent, .key = key}, out);
}

void Relay::drop_client(TimePoint now, PeerId peer, RelayOut& out) {
  while (!clients_.at(peer).channels.empty()) {
    close_channel(now, clients_.at(peer).channels.begin()->second, peer, out);
  }
  clients_.erase(peer);
  sessions_.remove(peer);
}

void Relay::on_closed(TimePoint now, const sys::UdpEndpoint& connection, RelayOut& out) {
  const auto at = std::ranges::find_if(clients_, [&](const auto& each) { return each.second.at == connection; });
  if (at != clients_.end()) drop_client(now, at->first, out);
  flush(out);
}

// ---- what goes

void Relay::say(TimePoint now, PeerId to, const RelayMessage& message, RelayOut& out) {
  say(now, to, clients_.at(to).at, message, out);
}

void Relay::say(TimePoint now, PeerId to, const sys::UdpEndpoint& at, const RelayMessage& message, RelayOut& out) {
  ByteVector datagram(kSealOverhead + kRelayMessageBytes);
  std::ranges::copy(encode_relay_message(message), datagram.begin() + kSealHeader);
  if (sessions_.seal(now, to, datagram)) out.own(at, std::move(datagram));
}

void Relay::flush(RelayOut& out) {
  for (auto& each : sessions_.take_out()) {
    const auto at = clients_.find(each.peer);
    const auto& to = each.to || at == clients_.end() ? each.to : at->second.at;
    if (to) out.own(to, std::move(each.bytes));
  }
}

void Relay::poll(TimePoint now, RelayOut& out) {
  sessions_.poll(now);
  if (sweep_at_ && now >= *sweep_at_) {
    std::vector<PeerId> gone;
    for (const auto& [peer, client] : clients_) {
      if (now - client.heard_at > kClientLife) gone.push_back(peer);
    }
    for (const auto peer : gone) drop_client(now, peer, out);
    sweep_at_ = clients_.empty() ? std::nullopt : std::optional(now + kSweepEvery);
  }
  flush(out);
}

std::optional<TimePoint> Relay::next_deadline() const {
  const auto sessions = sessions_.next_deadline();
  if (!sessions || !sweep_at_) return sessions ? sessions : sweep_at_;
  return std::min(*sessions, *sweep_at_);
}

}  // namespace godwit::overlay
