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

bool Outbox::to_peer(PeerId peer, const RecordHeader& header, ByteView payload) {
  auto& train = train_of(peer);
  if (!train.slicer.append(header, payload)) return false;
  ++train.records;
  return true;
}

Outbox::Train& Outbox::train_of(PeerId peer) {
  if (last_train_ < trains_used_ && trains_[last_train_].peer == peer) return trains_[last_train_];
  auto& place = places_[peer];
  if (place.batch != batch_) {
    const auto datagram_bytes = sizes_ ? sizes_->datagram_bytes(peer) : kDatagramBytes;
    if (trains_used_ == trains_.size()) trains_.push_back({peer, 0, Slicer(memory_, datagram_bytes)});
    trains_[trains_used_].slicer.begin(datagram_bytes);
    trains_[trains_used_].peer = peer;
    trains_[trains_used_].records = 0;
    place = {batch_, trains_used_++};
  }
  last_train_ = place.train;
  return trains_[last_train_];
}

void Outbox::seal(TimePoint now, Seal& seal, Counters& counters) {
  for (auto& train : std::span(trains_).first(trains_used_)) {
    train.slicer.finish();
    for (const auto& run : train.slicer.runs()) {
      const auto route = seal_run(now, seal, train, run);
      if (!route) {
        counters.drop(Drop::no_session, train.records);
        break;
      }
      if (!send_run(*route, run.bytes(), train.slicer.datagram_bytes())) counters.drop(Drop::crowded);
    }
  }
}

std::optional<Route> Outbox::seal_run(TimePoint now, Seal& seal, const Train& train, const Run& run) {
  const auto bytes = run.bytes();
  const auto one = train.slicer.datagram_bytes();
  std::optional<Route> route;
  for (std::size_t at = 0; at < bytes.size(); at += one) {
    route = seal.seal(now, train.peer, bytes.subspan(at, std::min(one, bytes.size() - at)));
    if (!route) break;
  }
  return route;
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
  packets_.clear();
  linked_.clear();
  udp_train_.clear();
  memory_.clear();
  ++batch_;
  if (places_.size() > kMostPlaces) places_.clear();
}

}  // namespace godwit::overlay
