#include "overlay/outbox.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr std::size_t kMostPlaces = 65'536;  // peers come and go

}  // namespace

Outbox::Outbox(const Seal* sizes) : sizes_(sizes), memory_(kMemoryBytes) { packets_.reserve(kPackets); }

bool Outbox::add(const sys::OutPacket& packet) {
  auto& packets = packet.port == 0 && is_relayed(packet.peer) ? linked_ : packets_;
  if (packets.size() == kPackets) return false;
  packets.push_back(packet);
  return true;
}

bool Outbox::to_port(sys::PortHandle port, ByteView bytes, const sys::Offload& offload) {
  const bool to_the_same = !packets_.empty() && packets_.back().port == port;
  if (to_the_same && udp_train_.add(packets_.back(), bytes, offload, memory_)) return true;
  return add({port, {}, bytes, offload, 0});
}

bool Outbox::to_endpoint(const sys::UdpEndpoint& endpoint, ByteView bytes) {
  const auto copy = memory_.take(bytes.size());
  if (copy.empty()) return false;
  std::copy(bytes.begin(), bytes.end(), copy.begin());
  return add({0, endpoint, copy, {}, 0});
}

// WireGuard, section 5.4.6: the payload is filled up to a multiple of 16 bytes.
bool Outbox::to_leaf(PeerId peer, ByteView packet) {
  const auto datagram = memory_.take((packet.size() + 15) / 16 * 16 + kSealOverhead);
  if (datagram.empty()) return false;
  std::ranges::fill(datagram, std::byte{0});
  std::ranges::copy(packet, datagram.begin() + kSealHeader);
  for_leaves_.push_back({peer, datagram});
  return true;
}

bool Outbox::to_peer(PeerId peer, const RecordHeader& header, ByteView payload) {
  auto& train = train_of(peer);
  if (!train.slicer.append(header, payload)) return false;
  ++train.records;
  train.has_frames |= header.kind != RecordKind::control;
  return true;
}

Outbox::Train& Outbox::train_of(PeerId peer) {
  if (last_train_ < trains_used_ && trains_[last_train_].peer == peer) return trains_[last_train_];
  auto& place = places_[peer];
  if (place.batch != batch_) {
    const auto datagram_bytes = sizes_ ? sizes_->datagram_bytes(peer) : kDatagramBytes;
    if (trains_used_ == trains_.size()) trains_.push_back({peer, 0, false, Slicer(memory_, datagram_bytes)});
    trains_[trains_used_].slicer.begin(datagram_bytes);
    trains_[trains_used_].peer = peer;
    trains_[trains_used_].records = 0;
    trains_[trains_used_].has_frames = false;
    place = {batch_, trains_used_++};
  }
  last_train_ = place.train;
  return trains_[last_train_];
}

void Outbox::seal(TimePoint now, Seal& seal, Counters& counters) {
  for (const auto peer : ready_) (void)seal_backlog(now, seal, peer, counters);
  ready_.clear();
  for (auto& train : std::span(trains_).first(trains_used_)) {
    train.slicer.finish();
    seal_train(now, seal, train, counters);
  }
  for (const auto& each : for_leaves_) {
    const auto route = seal.seal(now, each.peer, each.datagram);
    if (!route) counters.drop(Drop::no_session);
    if (route && !add({0, route->to, each.datagram, {}, 0})) counters.drop(Drop::crowded);
  }
}

void Outbox::seal_train(TimePoint now, Seal& seal, const Train& train, Counters& counters) {
  const auto one = train.slicer.datagram_bytes();
  auto records = train.records;  // the first run answers for all
  bool waits = !seal_backlog(now, seal, train.peer, counters);
  for (const auto& run : train.slicer.runs()) {
    Route route;
    const auto sealed = waits ? Sealed::not_at_all : seal_run(now, seal, train.peer, run.bytes(), one, route);
    if (sealed == Sealed::whole) {
      if (!send_run(route, run.bytes(), one)) counters.drop(Drop::crowded);
    } else if (sealed == Sealed::not_at_all && train.has_frames) {
      counters.drop(Drop::no_session, backlog_.keep(now, train.peer, records, one, run.bytes()));
      waits = true;
    } else {
      return counters.drop(Drop::no_session, records);
    }
    records = 0;
  }
}

bool Outbox::seal_backlog(TimePoint now, Seal& seal, PeerId peer, Counters& counters) {
  while (auto* piece = backlog_.front(peer)) {
    Route route;
    const auto sealed = seal_run(now, seal, peer, piece->bytes, piece->datagram_bytes, route);
    if (sealed == Sealed::not_at_all) return false;
    if (sealed == Sealed::broken) counters.drop(Drop::no_session, piece->records);
    const auto copy = sealed == Sealed::whole ? memory_.take(piece->bytes.size()) : ByteSpan{};
    if (!copy.empty()) std::ranges::copy(piece->bytes, copy.begin());
    const bool sent = !copy.empty() && send_run(route, copy, piece->datagram_bytes);
    if (sealed == Sealed::whole && !sent) counters.drop(Drop::crowded);
    backlog_.pop(peer);
  }
  return true;
}

Outbox::Sealed Outbox::seal_run(TimePoint now, Seal& seal, PeerId peer, ByteSpan bytes, std::size_t one, Route& route) {
  for (std::size_t at = 0; at < bytes.size(); at += one) {
    const auto where = seal.seal(now, peer, bytes.subspan(at, std::min(one, bytes.size() - at)));
    if (!where) return at == 0 ? Sealed::not_at_all : Sealed::broken;
    route = *where;
  }
  return Sealed::whole;
}

// By a relay each datagram goes behind a header of its own, and is copied for that.
bool Outbox::send_run(const Route& route, ByteView bytes, std::size_t one) {
  if (route.channel == 0) return add({0, route.to, bytes, {}, bytes.size() > one ? one : 0});
  const auto datagrams = (bytes.size() + one - 1) / one;
  const auto relayed = memory_.take(bytes.size() + datagrams * kRelayHeader);
  if (relayed.empty()) return false;
  auto into = relayed;
  for (std::size_t at = 0; at < bytes.size(); at += one) {
    const auto datagram = bytes.subspan(at, std::min(one, bytes.size() - at));
    write_carried_header(into, route.channel);
    std::ranges::copy(datagram, into.begin() + kRelayHeader);
    into = into.subspan(kRelayHeader + datagram.size());
  }
  return add({0, route.to, relayed, {}, datagrams > 1 ? one + kRelayHeader : 0});
}

void Outbox::clear() {
  for (auto& train : std::span(trains_).first(trains_used_)) train.slicer.clear();
  trains_used_ = 0;
  for_leaves_.clear();
  packets_.clear();
  linked_.clear();
  udp_train_.clear();
  memory_.clear();
  ++batch_;
  if (places_.size() > kMostPlaces) places_.clear();
}

}  // namespace godwit::overlay
