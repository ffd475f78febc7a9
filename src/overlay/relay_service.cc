#include "overlay/relay_service.h"

#include "base/exposition.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

// Datagrams that came side by side and go to one host leave as one packet again.
void add_datagram(std::vector<sys::OutPacket>& packets, const RelaySend& send) {
  if (!packets.empty()) {
    auto& last = packets.back();
    const auto each = last.segment == 0 ? last.bytes.size() : last.segment;
    const auto together = last.bytes.size() + send.bytes.size();
    const bool beside = last.peer == send.to && last.bytes.data() + last.bytes.size() == send.bytes.data();
    if (beside && last.bytes.size() % each == 0 && send.bytes.size() <= each && together <= sys::kMostSegmentBytes &&
        together <= each * sys::kMostSegments) {
      last.bytes = {last.bytes.data(), together};
      last.segment = each;
      return;
    }
  }
  packets.push_back({0, send.to, send.bytes});
}

}  // namespace

RelayService::RelayService(const sys::Executor& executor, sys::Clock& clock, sys::PacketIo& packets, Relay& relay,
                           Log log)
    : executor_(executor),
      clock_(clock),
      packets_(packets),
      relay_(relay),
      log_(std::move(log)),
      earlier_(executor),
      gate_(executor) {}

RelayService::~RelayService() = default;

void RelayService::start() {
  gate_.spawn(move_packets());
  gate_.spawn(keep_time());
}

sys::Task<void> RelayService::stop() {
  co_await gate_.close();
  connections_.clear();
}

// ---- UDP

sys::Task<void> RelayService::move_packets() {
  for (;;) {
    const auto readable = co_await packets_.wait_readable();
    if (!readable) {
      log_.error("{}", readable.error().message);
      co_return;
    }
    const auto now = clock_.now();
    for (const auto& each : packets_.receive()) {
      if (is_relayed(each.peer)) continue;  // a source that looks like one of our connections is nobody's
      auto rest = each.bytes;
      while (!rest.empty()) {
        const auto size = each.segment == 0 ? rest.size() : std::min(each.segment, rest.size());
        relay_.on_datagram(now, each.peer, rest.first(size), out_);
        rest = rest.subspan(size);
      }
    }
    flush();
  }
}

void RelayService::flush() {
  sending_.clear();
  for (const auto& each : out_.sends) {
    const auto relayed = relayed_of(each.to);
    if (!relayed) {
      add_datagram(sending_, each);
    } else if (relayed->kind == RelayedKind::connection) {
      to_connection(relayed->number, each.bytes);
    }
  }
  if (!sending_.empty()) packets_.send(sending_);
  out_.clear();
  const auto next = relay_.next_deadline();
  if (next && *next < armed_) earlier_.notify();
}

sys::Task<void> RelayService::keep_time() {
  for (;;) {
    relay_.poll(clock_.now(), out_);
    armed_ = TimePoint::min();  // flush() needn't wake us
    flush();
    armed_ = relay_.next_deadline().value_or(TimePoint::max());
    if (armed_ == TimePoint::max()) {
      co_await earlier_.wait();
    } else {
      co_await earlier_.wait_until(clock_, armed_);
    }
  }
}

// ---- TCP

void RelayService::serve(std::unique_ptr<sys::Stream> stream) {
  if (connections_.size() >= kMostConnections) {
    ++counters_.turned_away;
    return;
  }
  ++counters_.connections;
  auto connection = std::make_shared<Connection>(++last_connection_, executor_, std::move(stream));
  connections_[connection->number] = connection;
  gate_.spawn(read(connection));
  gate_.spawn(write(connection));
}

sys::Task<void> RelayService::read(std::shared_ptr<Connection> connection) {
  const auto from = relayed_endpoint({RelayedKind::connection, connection->number});
  ByteVector datagram;
  for (;;) {
    auto reading = connection->datagrams.read(datagram);
    const auto got = co_await sys::within(clock_, kConnectionIdle, "relay's client", std::move(reading));
    if (!got) {
      log_.debug("connection {}: {}", connection->number, got.error().message);
      break;
    }
    relay_.on_datagram(clock_.now(), from, datagram, out_);
    flush();
  }
  connection->datagrams.close();
  connections_.erase(connection->number);
  relay_.on_closed(clock_.now(), from, out_);
  flush();
}

sys::Task<void> RelayService::write(std::shared_ptr<Connection> connection) {
  co_await connection->datagrams.write_all();
}

void RelayService::to_connection(std::uint32_t number, ByteView datagram) {
  const auto at = connections_.find(number);
  if (at != connections_.end() && !at->second->datagrams.post(datagram)) ++counters_.queue_full;
}

std::string RelayService::metrics() const {
  Exposition out;
  const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
    out.add(name, Exposition::Kind::gauge, help, static_cast<double>(value));
  };
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) {
    out.add(name, Exposition::Kind::counter, help, static_cast<double>(value));
  };
  const auto& core = relay_.counters();
  gauge("godwit_relay_clients", "Hosts that are there now.", relay_.clients());
  gauge("godwit_relay_channels", "Channels between two of them.", relay_.channels());
  gauge("godwit_relay_connections", "TCP connections now.", connections_.size());
  counter("godwit_relay_connections_total", "TCP connections that were accepted.", counters_.connections);
  counter("godwit_relay_connections_turned_away_total", "TCP connections beyond the limit.", counters_.turned_away);
  counter("godwit_relay_connection_queue_full_total", "Datagrams that a connection took too slowly.",
          counters_.queue_full);
  counter("godwit_relay_carried_datagrams_total", "Datagrams that were carried.", core.carried_datagrams);
  counter("godwit_relay_carried_bytes_total", "Their bytes.", core.carried_bytes);
  counter("godwit_relay_no_channel_total", "Datagrams of who has no such channel.", core.no_channel);
  counter("godwit_relay_over_quota_total", "Datagrams beyond a client's rate.", core.over_quota);
  counter("godwit_relay_refused_total", "Handshakes of hosts that may not use this relay.", core.refused);
  counter("godwit_relay_full_total", "Clients or channels beyond the limit.", core.full);
  counter("godwit_relay_malformed_total", "Authentic datagrams that are no message.", core.malformed);
  counter("godwit_relay_udp_refused_total", "Datagrams that the kernel refused to send.", packets_.counts().refused);
  return out.text();
}

}  // namespace godwit::overlay
